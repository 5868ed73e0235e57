import { afterEach, expect, test } from "vitest";
import { de } from "../src/de";
import { en } from "../src/en";
import { figure, fill, language, t, word } from "../src/i18n";
import type { Key } from "../src/i18n";

const KEYS = Object.keys(en) as Key[];

afterEach(() => {
  language.value = "en";
});

function placeholders(text: string): string[] {
  return [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!).sort();
}

test("both languages say the same things", () => {
  expect(Object.keys(de).sort()).toEqual([...KEYS].sort());
});

test.each(KEYS)("%s is said in both languages, with the same gaps to be filled in", (key) => {
  expect(en[key].trim()).not.toBe("");
  expect(de[key].trim()).not.toBe("");
  expect(placeholders(de[key])).toEqual(placeholders(en[key]));
});

test("German is not English that was forgotten", () => {
  const sentences = KEYS.filter((key) => en[key].split(" ").length > 3);
  expect(sentences.filter((key) => de[key] === en[key])).toEqual([]);
});

test("a gap is filled with a word as it is, and with a number as it is written here", () => {
  expect(fill("{what}: {by} of {all} mm", { what: "Weg", by: -12.34, all: 1500 })).toBe("Weg: -12.3 of 1,500 mm");
  language.value = "de";
  expect(fill("{by} von {all} mm", { by: -12.34, all: 1500 })).toBe("-12,3 von 1.500 mm");
});

test("a gap that nobody fills stays empty, and what looks like one in a word stays", () => {
  expect(fill("because {reason}", {})).toBe("because ");
  expect(fill("because {reason}", { reason: "{kind} $& $1" })).toBe("because {kind} $& $1");
});

test("a number is never minus nothing", () => {
  expect(figure(-0.2)).toBe("0");
  expect(figure(-0.04, 1)).toBe("0.0");
  expect(figure(-0.06, 1)).toBe("-0.1");
});

test("a name that the listener has added is shown as it is", () => {
  expect(word("phase", "creep")).toBe("Creep");
  expect(word("phase", "hovering")).toBe("hovering");
  language.value = "de";
  expect(t("live")).toBe("Live");
  expect(word("phase", "creep")).toBe("Schleichfahrt");
});
