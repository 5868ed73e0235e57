import { describe, expect, test } from "vitest";
import { Fleet, deadReason, isNotice, nameOf } from "../src/robots/fleet";
import { EVERY_S, History, SHOWN_S, rangeOf } from "../src/robots/history";
import { parse } from "../src/robots/protocol";
import { reasonIn } from "../src/robots/reasons";
import { language, t } from "../src/i18n";

const AT = "2026-11-22T02:00:00.000000Z";
const ME = { status: "connected", device_type: "website", message: "", website_id: "website-1", may_command: true, hold_ms: 250 };

function fleetOf(...messages: object[]): Fleet {
  const fleet = new Fleet();
  for (const message of [ME, ...messages]) fleet.hear(parse(JSON.stringify(message))!, 0);
  return fleet;
}
function status(device_id: string, now: string, message = ""): object {
  return { type: "robot_status", device_id, status: now, message, timestamp: AT };
}
function operator(device_id: string, website_id: string | null, name = ""): object {
  return { type: "robot_operator", device_id, website_id, name, reason: "taken", timestamp: AT };
}
function stopped(device_id: string, reason: string): object {
  return { type: "robot_stopped", device_id, reason, timestamp: AT };
}

test.each(["", "{", "[1]", "null", '{"type":"flies"}', '{"type":"robot_status"}', '"robot_status"', '{"type":7}'])(
  "%j is no message",
  (text) => {
    expect(parse(text)).toBeNull();
  },
);

test("a robot's own greeting is not a dashboard's, a refusal is told as trouble", () => {
  expect(parse('{"status":"connected","device_type":"robot"}')).toBeNull();
  expect(parse('{"error":"too many messages: 200 a second"}')).toEqual({ type: "error", error: "too many messages: 200 a second" });
});

describe("a robot", () => {
  test("is there, silent, or gone; what is wrong with it comes and goes", () => {
    const fleet = fleetOf(status("a", "connected"), status("a", "low_battery"), status("a", "hot"), status("a", "hot_over"));
    const robot = fleet.robots.get("a")!;
    expect([robot.status, [...robot.wrong]]).toEqual(["connected", ["low_battery"]]);
    fleet.hear(parse(JSON.stringify(status("a", "charging", "until noon")))!, 0);
    expect(robot.said).toEqual({ status: "charging", message: "until noon" });
    expect(robot.status).toBe("connected");
    fleet.hear(parse(JSON.stringify(status("a", "stale")))!, 0);
    expect(robot.status).toBe("stale");
  });

  test("that has gone is nobody's", () => {
    const fleet = fleetOf(status("a", "connected"), operator("a", "website-2", "Eva"), status("a", "disconnected"));
    expect(fleet.robots.get("a")!.operator).toBeNull();
  });

  test("is forgotten with the next greeting, unless it is told again; its curves stay", () => {
    const fleet = fleetOf(status("a", "connected"), status("b", "connected"));
    const { history } = fleet.robots.get("a")!;
    fleet.hear(parse(JSON.stringify(ME))!, 0);
    expect(fleet.robots.size).toBe(0);
    fleet.hear(parse(JSON.stringify(status("a", "connected")))!, 0);
    expect(fleet.robots.get("a")!.history).toBe(history);
  });

  test("is in its order: ten comes after two", () => {
    const fleet = fleetOf(...["robot_10", "robot_2", "robot_1"].map((id) => status(id, "connected")));
    expect(fleet.ordered().map(({ id }) => id)).toEqual(["robot_1", "robot_2", "robot_10"]);
  });
});

describe("the sticks are dead", () => {
  const both = [status("a", "connected"), status("b", "connected")];
  test("before the listener has greeted, and for who may only look", () => {
    expect(deadReason(new Fleet(), {}, 0)).toEqual({ why: "unknown" });
    const fleet = fleetOf({ ...ME, may_command: false }, ...both);
    expect(deadReason(fleet, {}, 0)).toEqual({ why: "may_not" });
  });
  test("without a robot", () => {
    expect(deadReason(fleetOf(), {}, 0)).toEqual({ why: "nobody" });
    expect(deadReason(fleetOf(status("a", "disconnected")), { device_id: "a" }, 0)).toEqual({ why: "nobody" });
    expect(deadReason(fleetOf(...both), { device_id: "c" }, 0)).toEqual({ why: "nobody" });
    expect(deadReason(fleetOf(...both), { group: "stairs" }, 0)).toEqual({ why: "nobody" });
  });
  test("where somebody else has it, by name or else by number", () => {
    const fleet = fleetOf(...both, operator("a", "website-2", "Eva"), operator("b", "website-3"));
    expect(deadReason(fleet, { device_id: "a" }, 0)).toEqual({ why: "operated", by: "Eva" });
    expect(nameOf(fleet.robots.get("b")!)).toBe("website-3");
  });
  test("not where one of several is free, or this dashboard's own", () => {
    expect(deadReason(fleetOf(...both, operator("a", "website-2")), {}, 0)).toBeNull();
    expect(deadReason(fleetOf(...both, operator("a", "website-1")), { device_id: "a" }, 0)).toBeNull();
  });
  test("after a stop, and for a second; a move that was only not repeated ends nothing else", () => {
    const fleet = fleetOf(...both, stopped("a", "stopped by Eva"), stopped("b", "nobody has repeated the move"));
    expect(deadReason(fleet, { device_id: "a" }, 500)).toEqual({ why: "stopped" });
    expect(deadReason(fleet, { device_id: "a" }, 1001)).toBeNull();
    expect(deadReason(fleet, { device_id: "b" }, 0)).toBeNull();
    expect(isNotice(fleet.robots.get("b")!, 1000)).toBe(true);
    expect(isNotice(fleet.robots.get("b")!, 10_000)).toBe(false);
  });
});

test("a list fills in groups; what changes is taken from it only where messages were skipped", () => {
  const fleet = fleetOf(status("a", "connected"));
  const listed = {
    device_id: "a",
    device_name: "a",
    status: "stale",
    said: null,
    wrong: ["hot"],
    operator: { id: "website-2", name: "Eva" },
    confirms: true,
    groups: ["stairs"],
  };
  fleet.list([listed, { ...listed, device_id: "of last year" }], "full", false);
  const robot = fleet.robots.get("a")!;
  expect([fleet.robots.size, fleet.storing, robot.groups, robot.status, robot.operator]).toEqual([1, "full", ["stairs"], "connected", null]);
  expect(fleet.groups()).toEqual(["stairs"]);
  expect(fleet.members({ group: "stairs" })).toEqual([robot]);
  fleet.list([listed], "ok", true);
  expect([robot.status, [...robot.wrong], nameOf(robot)]).toEqual(["stale", ["hot"], "Eva"]);
});

describe("the curve of the last minutes", () => {
  const values = (battery: number | null) => ({ battery, cpu: null, temperature: null, signal: null });

  test("ends at the right, and has no line over a gap", () => {
    const history = new History();
    history.push(1000, values(100));
    history.push(1003, values(50));
    history.push(1100, values(0));
    expect(history.path("battery", 1100, [0, 100])).toBe("M200.0 0.0L200.0 0.0L203.0 50.0M300.0 100.0L300.0 100.0");
    expect(history.path("cpu", 1100, [0, 100])).toBe("");
    expect(history.extent("battery", 1100)).toEqual([0, 100]);
    expect(history.extent("cpu", 1100)).toBeNull();
  });

  test("is filled from what the listener has kept, and never grows for ever", () => {
    const history = new History();
    history.push(1000, values(80));
    history.fill([
      { ts: 1000.5, ...values(1) },
      { ts: 990, ...values(90) },
    ]);
    expect(history.extent("battery", 1001)).toEqual([80, 90]);
    for (let ts = 1001; ts < 20_000; ts += 0.1) history.push(ts, values(50));
    expect(history.path("battery", 20_000, [0, 100]).split("L").length).toBeLessThanOrEqual(SHOWN_S / EVERY_S + 3);
  });

  test("of a temperature shows twenty degrees at least", () => {
    expect(rangeOf("battery", [40, 41])).toEqual([0, 100]);
    const [low, high] = rangeOf("temperature", [70, 72]);
    expect([low < 70, high > 72, high - low >= 20]).toEqual([true, true, true]);
  });
});

test("the listener's reasons are said in the language of the page, unknown ones as they are", () => {
  language.value = "de";
  expect(reasonIn(t, "robot_01 is operated by Eva; robot_02 is not connected")).toBe(
    "robot_01 wird von Eva bedient; robot_02 ist nicht verbunden",
  );
  expect(reasonIn(t, "the dog ate it")).toBe("the dog ate it");
  language.value = "en";
  expect(reasonIn(t, "there is no group a; b; see [robots.groups]")).toBe("there is no group a; b any more");
});
