import { expect, test } from "vitest";
import type { Item, Reading, Watched } from "../src/can/board";
import {
  digitsOf,
  groupOf,
  hear,
  isOld,
  keyOf,
  limitsOf,
  matches,
  memberOf,
  membersOf,
  patternsIn,
  placeOf,
  search,
  shareOf,
} from "../src/can/board";
import { boardOf, boardText } from "../src/can/board_file";
import { idsText, isMultiplexed } from "../src/can/board_ids";
import { exact, sizeText } from "../src/can/figures";
import type { DbcMessage, DbcSignal } from "../src/can/signal_form";
import type { CanFrame } from "../src/can/stream";

const SIGNAL: DbcSignal = {
  name: "",
  length: 16,
  scale: 0.001,
  offset: 0,
  minimum: 2.5,
  maximum: 4.3,
  unit: "V",
  choices: null,
  is_signed: false,
  is_float: false,
  initial: null,
  is_multiplexer: false,
  multiplexer_signal: null,
  multiplexer_ids: null,
  comment: null,
};

function message(name: string, names: string[], more: Partial<DbcMessage> = {}): DbcMessage {
  const base = { frame_id: 0x300, is_extended: false, is_fd: false, length: 8, protocol: null, cycle_time_ms: null, comment: null };
  return { ...base, name, signals: names.map((each) => ({ ...SIGNAL, name: each })), ...more };
}

const CELLS = message("Cells", ["Cell10", "Cell2", "Cell1", "Pack"]);
const TEMPS = message("Temps", ["Thermistor_1", "Thermistor_2", "Fan"], { frame_id: 0x301 });
const ITEM: Item = { bus: "b", view: "group", message: "", signal: "Cell*", low: null, high: null };

test.each([
  ["Cell*", "Cell12", true],
  ["cell?", "Cell1", true],
  ["cell?", "Cell12", false],
  ["Cell*", "PackCell1", false],
  ["*Volt*", "CellVoltage", true],
  ["a.c", "abc", false],
  ["(x)*", "(x)1", true],
])("the pattern %s and %s: %s", (pattern, name, fits) => {
  expect(matches(pattern, name)).toBe(fits);
});

test("a group gathers what fits its pattern, Cell2 before Cell10", () => {
  const names = (item: Item) => membersOf(item, [CELLS, TEMPS]).map(({ signal }) => signal.name);
  expect(names(ITEM)).toEqual(["Cell1", "Cell2", "Cell10"]);
  expect(names({ ...ITEM, signal: "*", message: "Temps" })).toEqual(["Fan", "Thermistor_1", "Thermistor_2"]);
  expect(names({ ...ITEM, view: "gauge", message: "Cells", signal: "Pack" })).toEqual(["Pack"]);
  expect(names({ ...ITEM, view: "gauge", message: "Cells", signal: "Cell*" })).toEqual([]);
});

test("signals are found by a part of their name, of their message's, or by a pattern", () => {
  const names = (text: string) => search([CELLS, TEMPS], text).map(({ signal }) => signal.name);
  expect(names("therm")).toEqual(["Thermistor_1", "Thermistor_2"]);
  expect(names("TEMPS")).toEqual(["Thermistor_1", "Thermistor_2", "Fan"]);
  expect(names("C*1")).toEqual(["Cell1"]);
  expect(names("")).toHaveLength(7);
});

test("patterns that gather something are offered, the largest first", () => {
  expect(patternsIn([TEMPS, CELLS])).toEqual([
    { pattern: "Cell*", count: 3 },
    { pattern: "Thermistor_*", count: 2 },
  ]);
  expect(patternsIn([message("M", ["Speed", "Torque1"])])).toEqual([]);
});

function frame(signals: Record<string, unknown>, name = "Cells"): CanFrame {
  return {
    id: 0x300,
    data: [],
    timestamp: 0,
    is_extended: false,
    is_remote: false,
    dlc: 0,
    decoded: { message_name: name, signals: signals as never },
  };
}

test("what is heard are numbers, and texts with the number that they stand for", () => {
  const readings = new Map<string, Reading>();
  const heard = hear(readings, frame({ Cell1: { value: 3.3, raw: 3300 }, Mode: { value: "Run", raw: 2, scale: 10, offset: 1 }, No: { value: null } }), "b", 7);
  expect(heard).toEqual([keyOf("b", "Cells", "Cell1"), keyOf("b", "Cells", "Mode")]);
  expect([...readings.values()]).toEqual([
    { value: 3.3, text: null, at: 7 },
    { value: 21, text: "Run", at: 7 },
  ]);
  expect(hear(readings, { ...frame({}), decoded: undefined as never }, "b", 8)).toEqual([]);
});

const watched = (name: string, of = CELLS): Watched => ({
  bus: "b",
  message: of,
  signal: of.signals.find((signal) => signal.name === name)!,
});

test("own limits go before the file's, each by itself", () => {
  expect(limitsOf({ low: null, high: null }, watched("Cell1"))).toEqual({ low: 2.5, high: 4.3 });
  expect(limitsOf({ low: 3, high: null }, watched("Cell1"))).toEqual({ low: 3, high: 4.3 });
  expect(limitsOf({ low: 0, high: 0 }, watched("Cell1"))).toEqual({ low: 0, high: 0 });
});

test("a limit itself is within the limits", () => {
  const limits = { low: 1, high: 2 };
  expect([0.9, 1, 2, 2.1].map((value) => placeOf(value, limits))).toEqual(["below", "inside", "inside", "above"]);
  expect(placeOf(1e9, { low: null, high: null })).toBe("inside");
  expect([0, 1.5, 9].map((value) => shareOf(value, limits))).toEqual([0, 0.5, 1]);
  expect([shareOf(1, { low: null, high: 2 }), shareOf(1, { low: 2, high: 2 })]).toEqual([null, null]);
});

test("a value is old after three cycles, and two seconds at least", () => {
  const at = (cycle_time_ms: number | null, age: number) =>
    isOld({ value: 1, text: null, at: 0 }, { ...watched("Cell1"), message: { ...CELLS, cycle_time_ms } }, age);
  expect([at(10, 2000), at(10, 2001), at(null, 2001)]).toEqual([false, true, true]);
  expect([at(1000, 3500), at(1000, 3501)]).toEqual([false, true]);
});

const NOW = 100_000;

function group(values: Record<string, [value: number, age: number]>, item = ITEM) {
  const readings = new Map<string, Reading>(
    Object.entries(values).map(([name, [value, age]]) => [keyOf("b", "Cells", name), { value, text: null, at: NOW - age }]),
  );
  return groupOf(membersOf(item, [CELLS]).map((each) => memberOf(item, each, readings, NOW)));
}

const nameOf = (member: { watched: Watched } | null) => member?.watched.signal.name;

test("of a group: which is lowest, which highest, their mean, and who is outside", () => {
  const { lowest, highest, mean, old, outside } = group({ Cell1: [3, 0], Cell2: [4.4, 0], Cell10: [2.8, 100] });
  expect([nameOf(lowest), nameOf(highest)]).toEqual(["Cell10", "Cell2"]);
  expect(mean).toBeCloseTo(3.4);
  expect(old).toBe(0);
  expect(outside.map(nameOf)).toEqual(["Cell2"]);
});

test("what is old does not count, and is counted", () => {
  const { lowest, highest, mean, old, outside } = group({ Cell1: [3, 0], Cell2: [9, 5000] });
  expect([nameOf(lowest), nameOf(highest), mean, old]).toEqual(["Cell1", "Cell1", 3, 2]);
  expect(outside).toEqual([]);
});

test("a group of which nothing was heard has no mean", () => {
  expect(group({})).toMatchObject({ lowest: null, highest: null, mean: null, old: 3, outside: [] });
});

test("a value has so many digits as its steps", () => {
  const digits = (scale: number, is_float = false) => digitsOf({ scale, is_float });
  expect([digits(1), digits(0.5), digits(0.001), digits(1e-7), digits(0.0000152), digits(1, true)]).toEqual([0, 1, 3, 4, 4, 2]);
});

test("a board that was saved is read as it was", () => {
  const items: Item[] = [ITEM, { bus: "b", view: "curve", message: "Cells", signal: "Pack", low: -1.5, high: 2 }];
  expect(boardOf(boardText(items))).toEqual(items);
  expect(boardOf(boardText([]))).toEqual([]);
});

test.each(["", "nonsense", "null", "[]", "{}", '{"les02_board": 2, "items": []}', '{"les02_board": 1, "items": 3}'])(
  "%s is no board",
  (text) => {
    expect(boardOf(text)).toBeNull();
  },
);

test("of a board that others wrote what is not understood is left out", () => {
  const good = { ...ITEM, low: "3", high: Infinity, more: 1 };
  const bad = [null, 1, {}, { ...ITEM, view: "pie" }, { ...ITEM, signal: "" }, { ...ITEM, bus: 7 }, { ...ITEM, view: "gauge" }, { ...ITEM, signal: "x".repeat(300) }];
  expect(boardOf(JSON.stringify({ les02_board: 1, items: [...bad, good] }))).toEqual([ITEM]);
  expect(boardOf(JSON.stringify({ les02_board: 1, items: Array(500).fill(ITEM) }))).toHaveLength(100);
});

const of = (frame_id: number, more: Partial<DbcMessage> = {}) => message("M", ["S"], { frame_id, ...more });

test("identifiers are asked for as the listener takes them, neighbours together", () => {
  expect(idsText([of(0x110), of(0x300), of(0x111), of(0x110, { is_extended: true })])).toBe("0x110-0x111,0x300,00000110x");
  expect(idsText([])).toBe("");
});

test("a J1939 message is asked for whatever its source, priority and destination", () => {
  const pdu2 = idsText([of(0x18fef100, { is_extended: true, protocol: "j1939" })]).split(",");
  expect(pdu2).toHaveLength(8);
  expect(pdu2[6]).toBe("18FEF100x-18FEF1FFx");
  const pdu1 = idsText([of(0x18eaff00, { is_extended: true, protocol: "j1939" })]).split(",");
  expect(pdu1[0]).toBe("00EA0000x-00EAFFFFx");
});

test("too many identifiers for one address become two ranges", () => {
  const many = Array.from({ length: 900 }, (_, number) => of(2 * number));
  expect(idsText([...many, of(0x1fffffff, { is_extended: true })])).toBe("0x000-0x706,1FFFFFFFx");
});

test("a message is multiplexed if a signal is selected by another", () => {
  const [signal] = CELLS.signals;
  expect(isMultiplexed(CELLS)).toBe(false);
  expect(isMultiplexed({ ...CELLS, signals: [{ ...signal!, multiplexer_signal: "Pack", multiplexer_ids: [1] }] })).toBe(true);
});

test("a limit has all its digits", () => {
  expect([6000, 0.1 * 3, -2.125, 4.3, null].map(exact)).toEqual(["6,000", "0.3", "-2.125", "4.3", "–"]);
});

test("sizes of files are for people", () => {
  expect([0, 999, 1500, 65_536, 2_500_000, 123_456_789, 4e9].map(sizeText)).toEqual(["0 B", "999 B", "1.5 kB", "66 kB", "2.5 MB", "123 MB", "4.0 GB"]);
});
