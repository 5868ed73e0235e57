import { expect, test } from "vitest";
import { digitsOf, fits, FrameTable, hex, isOld, labelOf, MARK_MS, shown, valueText } from "../src/can/frames";
import type { CanFrame } from "../src/can/stream";

function frame(id: number, data: number[] = [], more: Partial<CanFrame> = {}): CanFrame {
  return { id, data, timestamp: 1000, is_extended: false, is_remote: false, dlc: data.length, ...more };
}

function decoded(message_name: string, ...names: string[]): Pick<CanFrame, "decoded"> {
  return { decoded: { message_name, signals: Object.fromEntries(names.map((name) => [name, { value: 1 }])) } };
}

test("rows stand in the order of their numbers, whenever they came, the standard one before the extended", () => {
  const table = new FrameTable();
  for (const id of [0x300, 0x80, 0x110]) table.take(frame(id), 0);
  table.take(frame(0x110, [], { is_extended: true }), 0);
  table.take(frame(0x80, [1]), 1);
  expect(table.ordered().map(({ label }) => label)).toEqual(["0x080", "0x110", "00000110x", "0x300"]);
});

test("a standard and an extended identifier of one number are two rows", () => {
  const table = new FrameTable();
  table.take(frame(1, [1]), 0);
  table.take(frame(1, [2], { is_extended: true }), 0);
  expect(table.ordered().map(({ data }) => data)).toEqual([[1], [2]]);
});

test("an octet is marked from its change on, for a while; nothing is a change in the first frame", () => {
  const table = new FrameTable();
  const { row } = table.take(frame(1, [1, 2]), 100);
  expect(shown(row!, 100, false).octets.map(({ changed }) => changed)).toEqual([false, false]);
  table.take(frame(1, [1, 3]), 200);
  expect(shown(row!, 200, false).octets).toMatchObject([
    { text: "01", changed: false },
    { text: "03", changed: true },
  ]);
  table.take(frame(1, [1, 3]), 200 + MARK_MS / 2);
  expect(shown(row!, 200 + MARK_MS / 2, false).octets[1]!.changed).toBe(true);
  expect(shown(row!, 200 + MARK_MS, false).octets[1]!.changed).toBe(false);
});

test("an octet that comes or goes with the length is no stale mark", () => {
  const table = new FrameTable();
  const { row } = table.take(frame(1, [1]), 100);
  table.take(frame(1, [1, 9]), 200);
  expect(shown(row!, 200, false).octets.map(({ changed }) => changed)).toEqual([false, true]);
  table.take(frame(1, [1]), 300);
  expect(shown(row!, 300, false).octets).toHaveLength(1);
});

test("a mark begins anew with every change", () => {
  const table = new FrameTable();
  const { row } = table.take(frame(1, [1]), 100);
  const first = shown(row!, 100, false);
  table.take(frame(1, [2]), 200);
  const second = shown(row!, 200, false, first);
  const same = shown(row!, 250, false, second);
  table.take(frame(1, [3]), 300);
  const third = shown(row!, 300, false, same);
  expect([first, second, same, third].map(({ octets }) => octets[0]!.turn)).toEqual([0, 1, 1, 0]);
});

test("what is shown stands while the row goes on", () => {
  const table = new FrameTable();
  const { row } = table.take(frame(1, [1], decoded("A", "Speed")), 0);
  const picture = shown(row!, 0, false);
  table.take(frame(1, [2], { decoded: { message_name: "A", signals: { Speed: { value: 7 } } } }), 10);
  expect(picture.octets[0]!.text).toBe("01");
  expect(picture.signals).toEqual([{ name: "Speed", signal: { value: 1 }, oldS: null }]);
  expect(table.received).toBe(2);
});

test("it is told when the order or what a filter finds may have changed", () => {
  const table = new FrameTable();
  expect(table.take(frame(1), 0).isNew).toBe(true);
  expect(table.take(frame(1), 0).isNew).toBe(false);
  expect(table.take(frame(1, [], decoded("A")), 0).isNew).toBe(true);
});

test("what only some frames of a multiplexed message have stays, until it is old", () => {
  const table = new FrameTable();
  const { row } = table.take(frame(1, [0], decoded("Pack", "Cell1")), 0);
  expect(table.take(frame(1, [1], decoded("Pack", "Cell2")), 100).isNew).toBe(true);
  expect(table.take(frame(1, [0], decoded("Pack", "Cell1")), 200).isNew).toBe(false);
  const told = (now: number) => shown(row!, now, false).signals.map(({ name, oldS }) => [name, oldS]);
  expect(told(200)).toEqual([["Cell1", null], ["Cell2", null]]);
  table.take(frame(1, [0], decoded("Pack", "Cell1")), 4200);
  expect(told(4200)).toEqual([["Cell1", null], ["Cell2", 4]]);
  // Of another file, with other names.
  table.take(frame(1, [0], decoded("Battery", "Voltage")), 4300);
  expect(told(4300)).toEqual([["Voltage", null]]);
});

test.each([
  ["", true],
  ["110", true],
  ["0x11", true],
  ["pressure", true],
  ["oil", true],
  ["pressure oil", true],
  ["  oil  ", true],
  ["pressure speed", false],
  ["0x111", false],
])("the filter %j finds the pressure sensor: %s", (filter, found) => {
  const kept = { signal: { value: 1 }, at: 0 };
  const signals = new Map([
    ["Pressure", kept],
    ["OilTemperature", kept],
  ]);
  expect(fits({ label: "0x110", name: "PressureSensor", signals }, filter)).toBe(found);
});

test("what the listener counts belongs to the rows that are here", () => {
  const table = new FrameTable();
  table.take(frame(1), 0);
  const counted = { id: 1, is_extended: false, count: 500, period_mean_ms: 10.01, missing: true };
  expect(table.count([counted, { ...counted, id: 2 }]).map(({ id }) => id)).toEqual([1]);
  expect(table.count([counted])).toEqual([]);
  expect(table.rows.get("1")).toMatchObject({ count: 500, periodMs: 10.01, missing: true });
});

test("a value is old after a while, and one that comes seldom after three of its periods", () => {
  expect(isOld({ at: 0, periodMs: 10 }, 1400)).toBe(false);
  expect(isOld({ at: 0, periodMs: 10 }, 1600)).toBe(true);
  expect(isOld({ at: 0, periodMs: 1000 }, 2900)).toBe(false);
  expect(isOld({ at: 0, periodMs: 1000 }, 3100)).toBe(true);
  expect(isOld({ at: 0, periodMs: null }, 1600)).toBe(true);
});

test("nothing is current on a bus that is lost", () => {
  const { row } = new FrameTable().take(frame(1), 5000);
  expect(shown(row!, 5100, false).oldS).toBeNull();
  expect(shown(row!, 7400, true).oldS).toBe(2);
});

test("the memory of a bus with noise for identifiers is bounded, and what has no room is counted", () => {
  const table = new FrameTable();
  for (let id = 0; id < 5000; id += 1) table.take(frame(id, [], { is_extended: true }), 0);
  expect(table.rows.size).toBe(4096);
  expect(table.without).toBe(5000 - 4096);
});

test("identifiers and octets are written as on the bus", () => {
  expect(labelOf(0x80, false)).toBe("0x080");
  expect(labelOf(0x18fef100, true)).toBe("18FEF100x");
  expect([hex(0), hex(10), hex(255)]).toEqual(["00", "0A", "FF"]);
});

test.each([
  [{ scale: 1, offset: 0 }, 0],
  [{ scale: 0.01, offset: 0 }, 2],
  [{ scale: 0.125, offset: 0 }, 3],
  [{ scale: 1, offset: -0.5 }, 1],
  [{ scale: 1e-7, offset: 0 }, 7],
  [{ scale: 0.1 + 0.2, offset: 0 }, 1],
  [{ scale: 1, offset: 0, raw: 3.14159 }, 3],
  [{}, 0],
])("%j has %i decimals", (signal, digits) => {
  expect(digitsOf(signal)).toBe(digits);
});

test("a choice is told with its number, a value with its decimals", () => {
  const plain = (value: number, digits: number) => value.toFixed(digits);
  expect(valueText({ value: "Run", raw: 2 }, plain)).toBe("Run (2)");
  expect(valueText({ value: 64.60000000000001, raw: 646, scale: 0.1 }, plain)).toBe("64.6");
});
