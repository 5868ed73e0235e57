import { expect, test } from "vitest";
// Vite reads the text of any file.
import description from "../../docs/protocol.md?raw";
import rideDescription from "../../docs/rides.md?raw";
import { conditions, isStale, STALE_MS } from "../src/conditions";
import type { Condition, Link } from "../src/conditions";
import { en } from "../src/en";
import { apply, emptyModel, forgetNotices, NOTICE_MS } from "../src/model";
import type { Model } from "../src/model";
import type { Envelope, Hello } from "../src/protocol";
import { parse } from "../src/protocol";

const OPEN: Link = { state: "open" };

function examples(text: string): Envelope[] {
  const blocks = [...text.matchAll(/^```json\n([\s\S]*?)^```/gm)].flatMap(([, block]) => block!.trim().split("\n"));
  return blocks.map(parse).filter((event) => event !== null);
}

const EXAMPLES = [...examples(description), ...examples(rideDescription)];

function example(type: string, holds: (payload: never) => boolean = () => true): Envelope {
  const found = EXAMPLES.find((event) => event.type === type && holds(event.payload as never));
  if (!found) throw new Error(`docs/protocol.md has no such ${type}`);
  return structuredClone(found);
}

const HELLO = example("hello");

function hello(more: Partial<Hello> = {}): Envelope {
  return { ...HELLO, payload: { ...structuredClone(HELLO.payload), ride: null, ...more } };
}

function status(state: string, channel = "system", more: Record<string, unknown> = {}): Envelope {
  return { type: "status", ts: 1, payload: { channel, state, position_stale: state !== "receiving", ...more } };
}

function motion(): Envelope {
  return example("motion_sample");
}

/** All is well, and a sample came at `at`. */
function well(at = 0): Model {
  const model = emptyModel();
  apply(model, hello(), at);
  apply(model, motion(), at);
  return model;
}

function told(model: Model, now: number, link: Link = OPEN): string[] {
  return conditions(model, link, now).map((condition) => condition.key);
}

/** What the sentence of a condition does not get. */
function gaps({ key, args }: Condition): string[] {
  const names = [...en[key].matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  return names.filter((name) => args[name] === undefined || /undefined|NaN|\[object/.test(String(args[name])));
}

test("what other instruments are like is no news of the sensor", () => {
  const model = well();
  apply(model, { ...status("disconnected", "robot_01"), source: "robots" }, 1);
  apply(model, { ...status("bus_lost"), source: "workbench" }, 1);
  expect(model.notices).toEqual([]);
  expect(told(model, 1)).toEqual([]);
  apply(model, { ...status("bus_lost"), source: HELLO.source! }, 1);
  expect(told(model, 1)).toContain("bus_lost");
});

test("docs/protocol.md has an example of every type that the page knows", () => {
  const types = ["hello", "motion_sample", "position_sample", "ride_start", "ride_end", "relevel", "status", "error", "system", "gap", "result"];
  expect(types.filter((type) => !EXAMPLES.some((event) => event.type === type))).toEqual([]);
});

test("every example is understood, one by one and all after each other", () => {
  const model = emptyModel();
  for (const event of EXAMPLES) {
    const alone = emptyModel();
    apply(alone, event, 0);
    apply(model, event, 0);
    for (const each of [alone, model]) {
      for (const condition of conditions(each, OPEN, 0)) expect(gaps(condition)).toEqual([]);
    }
  }
  expect(model.epoch).toBe((HELLO.payload as unknown as Hello).epoch);
});

test.each([
  "",
  "{",
  "null",
  "7",
  "[]",
  '{"type":1,"ts":1,"payload":{}}',
  '{"type":"status","payload":{}}',
  '{"type":"status","ts":1,"payload":null}',
])("what is no event, %j, is nothing", (text) => {
  expect(parse(text)).toBeNull();
});

test("a type that came with a newer listener is left alone", () => {
  const model = well();
  const before = structuredClone({ ...model, seq: 0 });
  apply(model, { type: "weather", ts: 1, payload: { sun: true } }, 5);
  expect({ ...model, seq: 0 }).toEqual(before);
});

test("when all is well nothing is told, and nothing is stale", () => {
  expect(told(well(), STALE_MS)).toEqual([]);
  expect(isStale(well(), OPEN, STALE_MS)).toBe(false);
});

test("before anything is known nothing is current", () => {
  expect(told(emptyModel(), 0, { state: "connecting" })).toEqual(["connecting"]);
  expect(isStale(emptyModel(), OPEN, 0)).toBe(true);
});

test("without a connection nothing is current, and the next try is told", () => {
  const link: Link = { state: "waiting", retryAt: 2400, reason: "" };
  const [first] = conditions(well(), link, 0);
  expect(first).toEqual({ key: "disconnected", level: "bad", args: { seconds: 3 } });
  expect(isStale(well(), link, 0)).toBe(true);
  expect(told(well(), 0, { ...link, reason: "going away" })).toEqual(["disconnected", "disconnected_reason"]);
  // Of the bench nothing is known then, so nothing else is said of it.
  const locked = well();
  apply(locked, status("locked"), 0);
  expect(told(locked, 0, link)).toEqual(["disconnected"]);
});

test.each(["locked", "no_data"])("%s is told with how old the position is, until positions arrive", (state) => {
  const model = well(0);
  apply(model, status(state), 1000);
  const [first] = conditions(model, OPEN, 7500);
  expect(first).toEqual({ key: state, level: "bad", args: { seconds: 7 } });
  expect(isStale(model, OPEN, 1000)).toBe(true);
  expect(model.positionMm).toBe(motion().payload.position_mm);
  expect(model.motion).toBeNull();
  apply(model, status("receiving"), 8000);
  apply(model, motion(), 8000);
  expect(told(model, 8000)).toEqual([]);
  expect(isStale(model, OPEN, 8000)).toBe(false);
});

test("when positions arrive again it is not said that nothing arrives", () => {
  const model = well(0);
  apply(model, status("no_data"), 1000);
  apply(model, status("receiving"), 60_000);
  expect(told(model, 60_300), "the first motion needs half a second").toEqual([]);
  expect(isStale(model, OPEN, 60_300)).toBe(true);
  expect(told(model, 60_000 + STALE_MS + 500)).toEqual(["nothing_arrives"]);
});

test.each([
  ["no_data", "channel_silent"],
  ["locked", "channel_locked"],
])("one channel that is %s is told by its name, and the other is shown", (state, key) => {
  const model = well();
  apply(model, status(state, "slave"), 0);
  expect(conditions(model, OPEN, 0)).toEqual([{ key, level: "bad", args: { channel: "slave" } }]);
  expect(isStale(model, OPEN, 0)).toBe(false);
  apply(model, status("receiving"), 0);
  expect(told(model, 0)).toEqual([]);
});

test("a lost bus is told with its reason, until the first position", () => {
  const model = well();
  apply(model, status("bus_lost", "system", { reason: "Network is down" }), 0);
  expect(conditions(model, OPEN, 0)[0]).toMatchObject({ key: "bus_lost", args: { reason: "Network is down" } });
  apply(model, status("bus_up"), 0);
  expect(told(model, 0)).toEqual(["no_position_yet"]);
  expect(isStale(model, OPEN, 0)).toBe(true);
  apply(model, status("receiving"), 0);
  expect(told(model, 0)).toEqual([]);
});

test("a page that gets nothing any more says so, whatever the listener said last", () => {
  const model = well(0);
  expect(conditions(model, OPEN, STALE_MS + 600)).toEqual([{ key: "nothing_arrives", level: "bad", args: { seconds: 2 } }]);
  expect(isStale(model, OPEN, STALE_MS + 600)).toBe(true);
});

test.each(["channels_disagree", "overspeed"])("%s lasts until it is well again", (code) => {
  const channel = "system";
  const details = { difference_mm: 15, tolerance_mm: 10, velocity_mm_s: 602.8, limit_mm_s: 600 };
  const model = well();
  const error = { type: "error", ts: 1, payload: { channel, code, details } };
  apply(model, error, 0);
  apply(model, error, 0);
  const found = conditions(model, OPEN, 0);
  expect(found.map(({ key }) => key)).toEqual([code]);
  expect(gaps(found[0]!)).toEqual([]);
  forgetNotices(model, 10 * NOTICE_MS);
  expect(told(model, 0)).toEqual([code]);
  apply(model, status("well_again", "slave", { code }), 0);
  expect(told(model, 0), "of another channel").toEqual([code]);
  apply(model, status("well_again", channel, { code, lasted_s: 1, worst: 15 }), 0);
  expect(told(model, 0)).toEqual([]);
});

test("a jump, which is over at once, can be read all the same", () => {
  const model = well();
  const details = { step_mm: 500, elapsed_s: 0.004 };
  apply(model, { type: "error", ts: 1, payload: { channel: "slave", code: "position_jump", details } }, 0);
  const [jump] = conditions(model, OPEN, 0) as [Condition];
  expect(jump).toMatchObject({ key: "position_jump", args: { channel: "slave", step_mm: 500 } });
  expect(gaps(jump)).toEqual([]);
  apply(model, status("well_again", "slave", { code: "position_jump", lasted_s: 0.1, worst: 500 }), 100);
  expect(told(model, 1000)).toHaveLength(1);
  forgetNotices(model, 100 + NOTICE_MS);
  expect(told(model, 1000)).toEqual([]);
});

test("a motion that comes after the sensor has locked itself is none of now", () => {
  const model = well();
  apply(model, status("locked"), 0);
  apply(model, motion(), 10);
  expect(model.motion).toBeNull();
});

test("rides that are not kept are told, also without a connection", () => {
  const model = well();
  apply(model, example("error", ({ code }: { code: string }) => code === "storing_failed"), 0);
  expect(told(model, 0)).toEqual(["not_storing"]);
  expect(told(model, 0, { state: "waiting", retryAt: 0, reason: "" })).toEqual(["disconnected", "not_storing"]);
  apply(model, example("status", ({ state }: { state: string }) => state === "storing_again"), 0);
  expect(told(model, 0)).toEqual([]);
  apply(model, hello({ storing: "full" }), 0);
  expect(told(model, 0)).toEqual(["not_storing"]);
  apply(model, hello({ storing: "off" }), 0);
  expect(told(model, 0)).toEqual([]);
});

test("the answer to a command is nothing that happened at the bench", () => {
  const model = well();
  apply(model, { type: "error", ts: 1, payload: { channel: "system", code: "storing_failed", details: { reason: "", id: 3 } } }, 0);
  expect(told(model, 0)).toEqual([]);
});

test("a restart is told, and what was wrong before it is forgotten", () => {
  const model = well();
  apply(model, example("error", ({ code }: { code: string }) => code === "overspeed"), 0);
  apply(model, { ...motion(), seq: 99_000 }, 0);
  apply(model, hello({ epoch: "another", seq: 12 }), 0);
  expect(told(model, 0)).toEqual(["restarted"]);
  expect([model.epoch, model.seq]).toEqual(["another", 12]);
});

test("the same listener again is no restart, and goes on where it was", () => {
  const model = well();
  apply(model, { ...motion(), seq: 99_000 }, 0);
  apply(model, hello({ seq: 99_500 }), 0);
  expect(told(model, 0)).toEqual([]);
  expect(model.seq, "what lies between comes now").toBe(99_000);
});

test("what was skipped for this page is added up, and what the bus lost is another thing", () => {
  const model = well();
  const skipped = example("gap", ({ where }: { where: string }) => where === "client");
  apply(model, skipped, 0);
  apply(model, skipped, 0);
  apply(model, example("gap", ({ where }: { where: string }) => where === "kernel"), 0);
  apply(model, example("gap", ({ where }: { where: string }) => where === "bus"), 0);
  const notices = conditions(model, OPEN, 0);
  expect(notices.map(({ key, args }) => [key, args.count])).toEqual([
    ["skipped", 608],
    ["lost", 1725],
  ]);
});

test("what has happened is told for a while", () => {
  const model = well();
  apply(model, example("relevel"), 0);
  apply(model, status("clock_step", "system", { step_s: -3600 }), 0);
  expect(told(model, 0).sort()).toEqual(["clock_step", "relevelled"]);
  expect(forgetNotices(model, NOTICE_MS - 1)).toBe(false);
  expect(forgetNotices(model, NOTICE_MS)).toBe(true);
  expect(forgetNotices(model, NOTICE_MS)).toBe(false);
  expect(told(model, 0)).toEqual([]);
});

test("the same error of both channels is told of both", () => {
  const model = well();
  for (const channel of ["master", "slave"]) {
    apply(model, { type: "error", ts: 1, payload: { channel, code: "unknown_0x17", details: { raw: "0000000000000017" } } }, 0);
  }
  expect(conditions(model, OPEN, 0).map(({ args }) => args.channel)).toEqual(["master", "slave"]);
});

test("a bench where everything goes wrong keeps few notices", () => {
  const model = well();
  for (let code = 0; code < 1000; code++) {
    apply(model, { type: "error", ts: 1, payload: { channel: "master", code: `unknown_${code}`, details: {} } }, code);
  }
  expect(model.notices.length).toBeLessThan(10);
});

test("a ride is known from its start to its end, with its direction", () => {
  const model = well();
  apply(model, example("ride_start"), 0);
  expect(model.ride).toMatchObject({ direction: "up", startTs: 1795294864.0673523 });
  const end = example("ride_end");
  apply(model, end, 0);
  expect(model.ride).toBeNull();
  expect(model.last).toMatchObject({ direction: "up", startTs: 1795294864.0673523, endTs: end.ts });
  expect(model.floor).toBe(0);
});

test("a ride of which only the end was seen has a beginning and a direction all the same", () => {
  const model = well();
  const end = example("ride_end");
  apply(model, end, 0);
  expect(model.last!.startTs).toBeCloseTo(end.ts - 8.372);
  expect(model.last!.direction).toBe("up");
});

test("who comes in the middle of a ride knows it from hello", () => {
  const model = emptyModel();
  apply(model, HELLO, 0);
  expect(model.ride).toMatchObject({ direction: "down", startTs: 1795294879.1816561 });
  apply(model, hello(), 0);
  expect(model.ride).toBeNull();
});

test("positions count in the sensor's own steps", () => {
  const model = emptyModel();
  apply(model, hello({ resolution_mm: 0.5, parts: ["demo"] }), 0);
  expect(model.positionMm).toBe(1933.5);
  apply(model, example("position_sample"), 0);
  expect(model.positionMm).toBe(500);
  apply(model, { type: "position_sample", ts: 1, payload: { channel: "third", position_raw: 7 } }, 0);
  expect(model.positionMm).toBe(500);
});

test("who comes after the sensor has fallen silent knows how old its position is", () => {
  const model = emptyModel();
  const channels = { master: { state: "no_data", position_raw: 1000, position_ts: HELLO.ts - 42 }, slave: { state: "no_data" } };
  apply(model, hello({ channels }), 100_000);
  const [first] = conditions(model, OPEN, 101_000) as [Condition];
  expect(first).toMatchObject({ key: "no_data", args: { seconds: 43 } });
});
