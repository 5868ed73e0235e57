import { afterEach, describe, expect, test } from "vitest";
import { language, t } from "../src/i18n";
import type { Draft } from "../src/mesh/draft";
import { EMPTY, OCTETS_MAX, WAIT_S, check, octetsOf } from "../src/mesh/draft";
import type { Told } from "../src/mesh/protocol";
import { reasonIn } from "../src/mesh/reasons";
import type { Filter } from "../src/mesh/traffic";
import { KEPT, Traffic, shown, textOf, visible } from "../src/mesh/traffic";

const ALL: Filter = { direction: "", addr: null, text: "" };

function line(ts: number, text: string, more: Partial<Told> = {}): Told {
  return { ts, direction: "up", addr: 5, text, raw: "", ...more };
}
function trafficOf(...lines: Told[]): Traffic {
  const traffic = new Traffic();
  for (const each of lines) traffic.push(each);
  return traffic;
}
function texts(traffic: Traffic, filter: Partial<Filter> = {}): string[] {
  return shown(traffic.all(), { ...ALL, ...filter }).map(({ text }) => text);
}

afterEach(() => {
  language.value = "en";
});

describe("the traffic", () => {
  test("is shown newest first, and filtered by way, node, and words in text or octets", () => {
    const traffic = trafficOf(
      line(1, "Node-5: Temperature 20 °C", { raw: "00054401020923" }),
      line(2, "SEND- to Node-6 'hello'", { direction: "down", addr: 6, raw: "53454e442d" }),
      line(3, "Node-7 connected", { direction: "note", addr: 7 }),
      line(4, "UART connected", { direction: "note", addr: null }),
    );
    expect(texts(traffic)[0]).toBe("UART connected");
    expect(texts(traffic, { direction: "note" })).toEqual(["UART connected", "Node-7 connected"]);
    expect(texts(traffic, { addr: 6 })).toEqual(["SEND- to Node-6 'hello'"]);
    expect(texts(traffic, { text: "node temp" })).toEqual(["Node-5: Temperature 20 °C"]);
    expect(texts(traffic, { text: "454E44" })).toEqual(["SEND- to Node-6 'hello'"]);
    expect(texts(traffic, { direction: "up", addr: 6 })).toEqual([]);
  });

  test("holds the newest lines and no more, and counts all", () => {
    const traffic = new Traffic();
    for (let ts = 0; ts < 3 * KEPT; ts += 1) traffic.push(line(ts, `${ts}`));
    expect(traffic.all()).toHaveLength(KEPT);
    expect(traffic.received).toBe(3 * KEPT);
    expect(texts(traffic)[0]).toBe(`${3 * KEPT - 1}`);
  });

  test("is filled in where the listener knows more, once each", () => {
    const traffic = trafficOf(line(1, "old"), line(5, "heard"), line(9, "newest"));
    traffic.fill([line(6, "missed"), line(5, "heard"), line(4, "missed, too")]);
    expect(texts(traffic)).toEqual(["newest", "missed", "heard", "missed, too", "old"]);
    expect(new Set(traffic.all().map(({ id }) => id)).size).toBe(5);
    traffic.fill([]);
    expect(texts(traffic)).toHaveLength(5);
    traffic.clear();
    expect(texts(traffic)).toEqual([]);
  });

  test("stands while it is read, whatever comes", () => {
    const traffic = trafficOf(line(1, "one"));
    const standing = traffic.all();
    traffic.push(line(2, "two"));
    expect(shown(standing, ALL)).toHaveLength(1);
  });

  test("is kept in a file as a table, oldest first", () => {
    const traffic = trafficOf(line(0, "a\tb\nc", { raw: "00ff" }), line(1.5, "d", { addr: null, direction: "note" }));
    expect(textOf(shown(traffic.all(), ALL)).split("\n")).toEqual([
      "time\tdirection\taddress\ttext\toctets",
      "1970-01-01T00:00:00.000Z\tup\t5\ta b c\t00ff",
      "1970-01-01T00:00:01.500Z\tnote\t\td\t",
      "",
    ]);
  });

  test.each([
    [0, 280, 1000, { first: 0, end: 16 }],
    [2800, 280, 1000, { first: 94, end: 116 }],
    [99_999, 280, 3, { first: 3, end: 3 }],
    [0, 0, 0, { first: 0, end: 0 }],
  ])("scrolled to %d of a box of %d with %d lines it has few rows", (scrolled, height, count, rows) => {
    expect(visible(scrolled, height, 28, count)).toEqual(rows);
  });
});

describe("a message", () => {
  const draft = (some: Partial<Draft>): Draft => ({ ...EMPTY, ...some });

  test("of text goes to all, or to one", () => {
    expect(check(draft({ typed: "grüß" })).message).toEqual({ path: "/mesh/broadcast", body: { text: "grüß" }, octets: 6 });
    expect(check(draft({ to: "5", typed: "hi", opcode: "echo" })).message).toEqual({
      path: "/mesh/send",
      body: { addr: 5, text: "hi", opcode: "echo" },
      octets: 3,
    });
  });

  test("that is important is waited for; one to all cannot be", () => {
    const important = draft({ to: "1", how: "hex", typed: "01 A2,0xff", isImportant: true });
    expect(check(important).message!.body).toEqual({ addr: 1, payload: "01a2ff", important: true, wait_s: WAIT_S });
    expect(check({ ...important, to: "all" }).message!.body).toEqual({ payload: "01a2ff" });
  });

  test("may be an opcode alone, but not nothing", () => {
    expect(check(draft({ to: "5", opcode: "request" })).message!.octets).toBe(1);
    expect(check(draft({ to: "5" })).problem).toEqual({ key: "ms_nothing_typed" });
    expect(check(draft({ how: "hex", typed: "  " })).problem).toEqual({ key: "ms_nothing_typed" });
  });

  test.each([
    ["zz", "ms_no_hex"],
    ["01 123", "ms_odd_hex"],
    ["0x", "ms_no_hex"],
    ["00".repeat(OCTETS_MAX + 1), "ms_too_long"],
  ])("of the octets %.10s has a mistake that is told: %s", (typed, key) => {
    expect(check(draft({ how: "hex", typed })).problem?.key).toBe(key);
  });

  test.each([
    ["1 2 f", "01020f"],
    ["01A2FF", "01a2ff"],
    ["0xDE:0xAD", "dead"],
    ["", ""],
  ])("%j are the octets %j", (typed, payload) => {
    expect(octetsOf(typed)).toEqual({ payload });
  });
});

test("reasons are said in the reader's language, and an unknown one as it is", () => {
  expect(reasonIn(t, "silent for 60 s")).toBe("silent for 60 s");
  language.value = "de";
  expect(reasonIn(t, "silent for 60 s")).toBe("seit 60 s stumm");
  expect(reasonIn(t, "No Serial Connection")).toBe("keine serielle Verbindung");
  expect(reasonIn(t, "no word of it in 10 s")).toBe("in 10 s keine Antwort dazu");
  expect(reasonIn(t, "/dev/ttyUSB0 is not there")).toBe("/dev/ttyUSB0 ist nicht da.");
  expect(reasonIn(t, "something new")).toBe("something new");
});
