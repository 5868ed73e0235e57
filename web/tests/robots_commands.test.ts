import { expect, test } from "vitest";
import type { State } from "../src/robots/commands";
import { Commands, parts, tookMs } from "../src/robots/commands";
import type { Ack, CommandState } from "../src/robots/protocol";

function ack(id: number, more: Partial<Ack> = {}): Ack {
  return { type: "ack", original_type: "robot_move", status: "received", message: "", id, timestamp: "", ...more };
}

function state(id: number, device_id: string, now: CommandState["state"], message = ""): CommandState {
  return { type: "command_state", id, device_id, state: now, message, timestamp: "" };
}

function statesOf(commands: Commands, now = 0): State[] {
  return parts(commands.shown("robot_move", now)!).map((part) => part.state);
}

test("a command comes as far as it was told to be, and no further", () => {
  const commands = new Commands();
  const id = commands.sent("robot_move", { x: 1, y: 0 }, 0);
  expect(statesOf(commands)).toEqual(["sent"]);
  commands.ack(ack(id, { robots: ["a"] }), 5);
  expect(statesOf(commands)).toEqual(["received"]);
  expect(commands.roundTripMs).toBe(5);
  commands.state(state(id, "a", "delivered"), 6);
  expect(statesOf(commands, 60_000)).toEqual(["delivered"]);
  commands.state(state(id, "a", "executed"), 20);
  expect(statesOf(commands)).toEqual(["executed"]);
  expect(tookMs(commands.last("robot_move")!)).toBe(20);
  commands.state(state(id, "a", "delivered"), 30);
  expect(statesOf(commands)).toEqual(["executed"]);
});

test("a stop that no robot is there to hear was received", () => {
  const commands = new Commands();
  const id = commands.sent("stop", {}, 0);
  commands.ack(ack(id, { original_type: "stop", robots: [] }), 5);
  expect(parts(commands.last("stop")!)).toEqual([{ state: "received", robots: [], message: "" }]);
});

test("of several robots the worst is told first, and who it is", () => {
  const commands = new Commands();
  const id = commands.sent("robot_move", {}, 0);
  commands.ack(ack(id, { robots: ["a", "b", "c"], refused: { d: "d is operated by Eva" } }), 1);
  commands.state(state(id, "a", "executed"), 2);
  commands.state(state(id, "b", "expired", "its deadline has passed"), 3);
  expect(parts(commands.last("robot_move")!)).toEqual([
    { state: "expired", robots: ["b"], message: "its deadline has passed" },
    { state: "rejected", robots: ["d"], message: "d is operated by Eva" },
    { state: "received", robots: ["c"], message: "" },
    { state: "executed", robots: ["a"], message: "" },
  ]);
});

test("a rejected one says why", () => {
  const commands = new Commands();
  const id = commands.sent("robot_move", {}, 0);
  commands.ack(ack(id, { status: "rejected", message: "a is operated by Eva" }), 1);
  expect(parts(commands.last("robot_move")!)).toEqual([{ state: "rejected", robots: [], message: "a is operated by Eva" }]);
});

test("while the newest is on its way the one before it is shown, but not for long", () => {
  const commands = new Commands();
  const first = commands.sent("robot_move", { x: 1 }, 0);
  commands.ack(ack(first, { robots: ["a"] }), 2);
  commands.state(state(first, "a", "executed"), 3);
  commands.sent("robot_move", { x: 0.5 }, 100);
  expect(statesOf(commands, 110)).toEqual(["executed"]);
  expect(statesOf(commands, 401)).toEqual(["sent"]);
});

test("with the connection goes what nobody has answered; what is known stays known", () => {
  const commands = new Commands();
  const done = commands.sent("set_speed", {}, 0);
  commands.ack(ack(done, { robots: ["a"] }), 1);
  commands.state(state(done, "a", "executed"), 2);
  const open = commands.sent("robot_move", {}, 3);
  commands.ack(ack(open, { robots: ["a", "b"] }), 4);
  commands.state(state(open, "b", "executed"), 5);
  commands.disconnected(6);
  expect(parts(commands.last("set_speed")!).map((part) => part.state)).toEqual(["executed"]);
  expect(statesOf(commands, 7)).toEqual(["lost", "executed"]);
  // An answer to a command of the connection before is none to one of the next.
  expect(commands.ack(ack(open), 8)).toBeNull();
});

test("how long nobody has answered; an answer to a later one says that there will be none", () => {
  const commands = new Commands();
  commands.sent("robot_move", {}, 0);
  const second = commands.sent("robot_move", {}, 100);
  expect(commands.unansweredMs(1100)).toBe(1100);
  commands.ack(ack(second, { robots: ["a"] }), 1200);
  expect(commands.unansweredMs(5000)).toBe(0);
});

test("it remembers some seconds of a stick, not all of it", () => {
  const commands = new Commands();
  for (let each = 0; each < 1000; each += 1) commands.sent("robot_move", {}, each);
  expect(commands.unansweredMs(1000)).toBeLessThan(100);
});
