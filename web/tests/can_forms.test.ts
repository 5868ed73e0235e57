import { expect, test } from "vitest";
import { checkFrame, emptyFrame, idText, octetsText, parseId, parseNumber, parseOctets, parsePeriod } from "../src/can/frame_form";
import type { FrameTexts } from "../src/can/frame_form";
import type { DbcMessage, DbcSignal } from "../src/can/signal_form";
import { byField, checkSignals, initialTexts, selections, shownSignals, textOf } from "../src/can/signal_form";
import { entryOf, entryText } from "../src/can/transmit_list";

test.each([
  ["123", 16, false, 0x123],
  ["0x123", 10, false, 0x123],
  [" 7ff ", 16, false, 0x7ff],
  ["291", 10, false, 291],
  ["18FEF100", 16, true, 0x18fef100],
  ["0", 16, false, 0],
] as const)("the identifier %s is understood", (text, base, extended, value) => {
  expect(parseId(text, base, extended)).toEqual({ value });
});

test.each([
  ["", 16, false, "wb_id_missing"],
  ["12G", 16, false, "wb_id_no_hex"],
  ["0x", 16, false, "wb_id_no_hex"],
  ["-1", 16, false, "wb_id_no_hex"],
  ["7F", 10, false, "wb_id_no_decimal"],
  ["1.5", 10, false, "wb_id_no_decimal"],
  ["800", 16, false, "wb_id_above_standard"],
  ["2048", 10, false, "wb_id_above_standard"],
  ["20000000", 16, true, "wb_id_above_extended"],
  ["FFFFFFFFFFFFFFFF", 16, false, "wb_id_above_extended"],
] as const)("the identifier “%s” is told to be wrong", (text, base, extended, key) => {
  expect(parseId(text, base, extended).problem?.key).toBe(key);
});

test.each([
  ["", []],
  ["01 A2 ff", [1, 0xa2, 0xff]],
  ["01A2FF", [1, 0xa2, 0xff]],
  ["0x01,0xA2; ff", [1, 0xa2, 0xff]],
  ["1 2 3", [1, 2, 3]],
])("the octets “%s” are understood", (text, value) => {
  expect(parseOctets(text, false)).toEqual({ value });
});

test.each([
  ["01 zz", false, "wb_data_no_hex"],
  ["012", false, "wb_data_odd"],
  ["00 11 22 33 44 55 66 77 88", false, "wb_data_too_long"],
  ["00 11 22 33 44 55 66 77 88", true, "wb_data_no_fd_length"],
  ["00".repeat(65), true, "wb_data_too_long_fd"],
])("the octets “%s” are told to be wrong", (text, fd, key) => {
  expect(parseOctets(text, fd).problem?.key).toBe(key);
});

test("CAN FD has frames of 12 and 64 octets, and 9 are told with what is next", () => {
  expect(parseOctets("00".repeat(12), true).value).toHaveLength(12);
  expect(parseOctets("00".repeat(64), true).value).toHaveLength(64);
  expect(parseOctets("00".repeat(9), true).problem?.args).toEqual({ count: 9, next: 12 });
});

const typed = (some: Partial<FrameTexts>): FrameTexts => ({ ...emptyFrame(), ...some });

test("a frame as the API takes it", () => {
  expect(checkFrame(typed({ id: "18FEF100", extended: true, data: "0102" }))).toEqual({
    frame: { can_id: 0x18fef100, data: [1, 2], is_extended: true, is_remote: false, is_fd: false },
    problems: {},
  });
});

test("a remote frame asks for so many octets, and what was typed as data does not matter", () => {
  const { frame } = checkFrame(typed({ id: "10", remote: true, length: "3", data: "zz", fd: true }));
  expect(frame).toEqual({ can_id: 16, data: [0, 0, 0], is_extended: false, is_remote: true, is_fd: false });
  expect(checkFrame(typed({ id: "10", remote: true, length: "9" })).problems.length?.key).toBe("wb_length_wrong");
});

test("all that is wrong is told at once", () => {
  const { frame, problems } = checkFrame(typed({ id: "800", data: "x" }));
  expect(frame).toBeNull();
  expect(Object.keys(problems)).toEqual(["id", "data"]);
});

test("numbers are taken with a point and a comma", () => {
  expect([parseNumber("1.5"), parseNumber("1,5"), parseNumber(" -2 "), parseNumber("1e3")]).toEqual([1.5, 1.5, -2, 1000]);
  expect([parseNumber(""), parseNumber("1.2.3"), parseNumber("x"), parseNumber("1e999"), parseNumber("0x10")]).toEqual(Array(5).fill(null));
});

test("a period is between a millisecond and an hour", () => {
  expect(["1", "0.5", "3600000", "3600001", "", "a"].map((text) => parsePeriod(text).value)).toEqual([1, undefined, 3_600_000, undefined, undefined, undefined]);
});

test("identifiers and octets are written as everywhere else", () => {
  expect([idText(0x10, false), idText(0x10, true)]).toEqual(["0x010", "00000010x"]);
  expect(octetsText([0, 10, 255])).toBe("00 0A FF");
});

const SIGNAL: DbcSignal = {
  name: "Speed",
  length: 16,
  scale: 0.5,
  offset: 0,
  minimum: -6000,
  maximum: 6000,
  unit: "rpm",
  choices: null,
  is_signed: true,
  is_float: false,
  initial: null,
  is_multiplexer: false,
  multiplexer_signal: null,
  multiplexer_ids: null,
  comment: null,
};

function message(...signals: (Partial<DbcSignal> & { name: string })[]): DbcMessage {
  const all = signals.map((signal) => ({ ...SIGNAL, ...signal }));
  return { name: "M", frame_id: 1, is_extended: false, is_fd: false, length: 8, protocol: null, cycle_time_ms: null, comment: null, signals: all };
}

const problemsOf = (signal: Partial<DbcSignal>, text: string) =>
  checkSignals(message({ name: "S", ...signal }), { S: text }).problems.S;

test("a value beyond its range is told at its field, with the limit and its unit", () => {
  expect(problemsOf({}, "6000.1")).toEqual({ key: "wb_signal_above", args: { limit: "6,000 rpm" } });
  expect(problemsOf({}, "-6001")).toEqual({ key: "wb_signal_below", args: { limit: "-6,000 rpm" } });
  expect(problemsOf({}, "fast")?.key).toBe("wb_signal_no_number");
  expect(problemsOf({}, "6000")).toBeUndefined();
});

test("rounding is no reason to be out of range", () => {
  expect(problemsOf({ scale: 0.1, maximum: 0.3 }, String(0.1 * 3))).toBeUndefined();
});

test("without a range it is the bits that limit", () => {
  const bits = { minimum: null, maximum: null, length: 8, is_signed: false, scale: 1, offset: -40 };
  expect(problemsOf(bits, "215")).toBeUndefined();
  expect(problemsOf(bits, "216")).toEqual({ key: "wb_signal_does_not_fit", args: { low: "-40", high: "215" } });
  expect(problemsOf({ ...bits, is_float: true, length: 32 }, "1e30")).toBeUndefined();
});

const CHOICES = { "0": "Off", "2": "Run" };

test("a choice is sent by its text, and a number besides is a number", () => {
  const modes = message({ name: "Mode", choices: CHOICES, scale: 1, minimum: 0, maximum: 7 });
  expect(checkSignals(modes, { Mode: "=Run" }).values).toEqual({ Mode: "Run" });
  expect(checkSignals(modes, { Mode: "5" }).values).toEqual({ Mode: 5 });
  expect(checkSignals(modes, { Mode: "=Fly" }).problems.Mode?.key).toBe("wb_signal_no_choice");
});

test("a form begins with the file's initial values, else with what is nearest to nothing", () => {
  const texts = initialTexts(
    message(
      { name: "Given", initial: 3, scale: 0.1 },
      { name: "Named", initial: 2, choices: CHOICES, scale: 1 },
      { name: "Above", minimum: 2.5, maximum: 4.3 },
      { name: "Below", minimum: -8, maximum: -2 },
      { name: "Off", choices: CHOICES, scale: 1 },
    ),
  );
  expect(texts).toEqual({ Given: "0.3", Named: "=Run", Above: "2.5", Below: "-2", Off: "=Off" });
});

const PACK = message(
  { name: "Group", is_multiplexer: true, scale: 1, minimum: 0, maximum: 2 },
  { name: "Cell1", multiplexer_signal: "Group", multiplexer_ids: [0] },
  { name: "Sub", multiplexer_signal: "Group", multiplexer_ids: [1], is_multiplexer: true, scale: 1 },
  { name: "Deep", multiplexer_signal: "Sub", multiplexer_ids: [4, 5] },
  { name: "Lost", multiplexer_signal: "Nobody", multiplexer_ids: [0] },
);

test("a multiplexer shows the signals of its value, and those of a multiplexer within", () => {
  const shown = (texts: Record<string, string>) => shownSignals(PACK, texts).map((signal) => signal.name);
  expect(shown({ Group: "0", Sub: "4" })).toEqual(["Group", "Cell1"]);
  expect(shown({ Group: "1", Sub: "0" })).toEqual(["Group", "Sub"]);
  expect(shown({ Group: "1", Sub: "5" })).toEqual(["Group", "Sub", "Deep"]);
  expect(shown({ Group: "" })).toEqual(["Group"]);
});

test("only what is shown is sent, and what is wrong elsewhere does not matter", () => {
  const { values, problems } = checkSignals(PACK, { Group: "0", Cell1: "12", Deep: "nonsense" });
  expect(values).toEqual({ Group: 0, Cell1: 12 });
  expect(problems).toEqual({});
});

test("a multiplexer offers what the file describes, by its text where it has one", () => {
  const group = PACK.signals[0]!;
  expect(selections(PACK, group)).toEqual([0, 1]);
  expect(selections(PACK, PACK.signals[1]!)).toEqual([]);
  expect(textOf({ ...group, choices: { "1": "Volts" } }, 1)).toBe("=Volts");
  expect(initialTexts({ ...PACK, signals: [{ ...group, initial: 9 }, ...PACK.signals.slice(1)] }).Group).toBe("0");
});

test("the listener's sentences go to the fields that they are about", () => {
  expect(byField("Speed: 7 is above 6; Mode: what; the bus is lost", ["Speed", "Mode"])).toEqual({
    Speed: "7 is above 6",
    Mode: "what",
    "": "the bus is lost",
  });
});

test("what is in a form becomes an entry of a list, with a period or without", () => {
  const frame = { can_id: 0x123, data: [1], is_extended: false, is_remote: false, is_fd: false };
  expect(entryOf({ frame }, null)).toEqual({ frame });
  expect(entryOf({ message: "M", signals: { S: 1 } }, 100)).toEqual({ frame: { message: "M", signals: { S: 1 } }, label: "M", period_ms: 100 });
  expect(entryText({ frame })).toBe("0x123 01");
  expect(entryText({ frame: { can_id: 0x123, is_remote: true, data: [0, 0] } })).toBe("0x123 [2] RTR");
  expect(entryText({ frame: { message: "M", signals: { S: 1, T: "On" } } })).toBe("S 1, T On");
  expect(entryText({ frame: { message: "M" } })).toBe("M");
});
