import { expect, test } from "vitest";
import { age, fileName, number, signed, stamp, withUnit } from "../src/format";

test("what is not known is a dash", () => {
  expect([number(null), number(undefined), number(NaN), number(Infinity)]).toEqual(["–", "–", "–", "–"]);
  expect(withUnit(null, "mm")).toBe("–");
  expect(withUnit(0, "mm")).toBe("0 mm");
});

test("a deviation has its sign, and nothing has none", () => {
  expect([signed(12.34), signed(-12.34), signed(0), signed(0.04), signed(-0.04)]).toEqual(["+12.3", "-12.3", "0.0", "0.0", "0.0"]);
});

test("an age is told in what it is counted in", () => {
  expect([age(0), age(1.9), age(119.9), age(120), age(7199), age(7200), age(200_000)]).toEqual([
    "0 s",
    "1 s",
    "119 s",
    "2 min",
    "119 min",
    "2 h",
    "55 h",
  ]);
});

test.each([
  ["../../etc/passwd", "etc_passwd"],
  ["C:\\Windows\\system32", "C_Windows_system32"],
  [".hidden", "hidden"],
  ["V-2417 / Größe 3", "V-2417_Gro_e_3"],
  ['a"b\'c<d>|e?f*g:h', "a_b_c_d_e_f_g_h"],
  ["line\nbreak\u0000null\u202Egpj.exe", "line_break_null_gpj.exe"],
  ["升降机", ""],
  ["___", ""],
  ["", ""],
])("a file of the specimen %j may be kept anywhere", (specimen, part) => {
  const name = fileName("ride", 17, specimen, "2026-11-21T14-03-05");
  expect(name).toMatch(/^[\w.-]+$/);
  expect(name.normalize("NFC")).toBe(name);
  expect(name.startsWith("ride_17_")).toBe(true);
  if (/^[\x20-\x7e]*$/.test(specimen)) expect(name).toBe(["ride_17", part, "2026-11-21T14-03-05"].filter(Boolean).join("_"));
});

test("a name of 200 letters does not make a file's name too long", () => {
  expect(fileName("ride", 17, "x".repeat(200), "2026-11-21T14-03-05").length).toBeLessThanOrEqual(120);
});

test("rides of one specimen have different files, however long its name is", () => {
  const names = [1, 2].map((number) => fileName("ride", number, "x".repeat(200)));
  expect(names[0]).not.toBe(names[1]);
});

test("a stamp sorts as time does", () => {
  expect(stamp(1_795_294_864)).toMatch(/^2026-11-\d\dT\d\d-\d\d-\d\d$/);
  expect(stamp(1_795_294_864) < stamp(1_795_294_865)).toBe(true);
});
