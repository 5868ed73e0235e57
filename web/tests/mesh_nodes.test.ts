import { describe, expect, test } from "vitest";
import { NODES_MAX, Nodes, decimals, fits } from "../src/mesh/nodes";
import type { Heard, Listed, Value } from "../src/mesh/protocol";
import { understood } from "../src/mesh/protocol";
import { KEPT, Trend } from "../src/mesh/trend";

/** The listener's clock, and this page's at the same moment. */
const TS = 1_795_000_000;
const AT = 50_000;

function event(type: string, payload: Record<string, unknown>, ts = TS, source = "mesh"): Heard {
  return understood({ type, ts, source, payload })!;
}
function data(addr: number, values: Record<string, Value>, ts = TS): Heard {
  return event("node_data", { channel: `node-${addr}`, addr, name: `Node-${addr}`, values }, ts);
}
function degrees(value: number): Record<string, Value> {
  return { Temperature: { raw: "0923", value, unit: "°C" } };
}
function listed(addr: number, more: Partial<Listed> = {}): Listed {
  return { addr, name: `Node-${addr}`, uuid: "", state: "active", last_seen: TS, age_s: 0, data: {}, ...more };
}

describe("an event", () => {
  test.each([
    ["status", { channel: "uart", state: "connected" }, "les02"],
    ["status", { channel: "system", state: "locked" }, "mesh"],
    ["position_sample", { channel: "master" }, "les02"],
    ["node_data", { values: {} }, "mesh"],
    ["something_new", { addr: 5 }, "mesh"],
  ])("%s %j of %s is nothing about the mesh", (type, payload, source) => {
    expect(understood({ type, ts: TS, source, payload })).toBeNull();
  });

  test("that lacks what is not needed is understood all the same", () => {
    expect(event("node_data", { addr: 5 })).toMatchObject({ name: "Node-5", values: {} });
    expect(event("traffic", { direction: "note", text: "UART connected" })).toMatchObject({ addr: null, raw: "" });
    expect(event("status", { channel: "uart", state: "searching" })).toMatchObject({ type: "uart", state: "searching", device: "" });
  });
});

describe("a node", () => {
  test("is there from its first event, and its status is what was told last", () => {
    const nodes = new Nodes();
    expect(nodes.hear(event("node_connected", { addr: 5, name: "Node-5", uuid: "ab" }), AT).isNew).toBe(true);
    expect(nodes.hear(event("node_status", { addr: 5, state: "idle", reason: "silent for 60 s" }), AT + 1).isNew).toBe(false);
    expect(nodes.byAddr.get(5)).toMatchObject({ name: "Node-5", uuid: "ab", state: "idle", reason: "silent for 60 s" });
    expect(nodes.counts()).toEqual({ active: 0, idle: 1, disconnected: 0 });
    nodes.hear(event("node_connected", { addr: 5, uuid: "" }), AT + 2);
    expect(nodes.byAddr.get(5)).toMatchObject({ uuid: "ab", state: "active", reason: "" });
  });

  test("that the root has told of was not heard; one that says anything was", () => {
    const nodes = new Nodes();
    nodes.hear(event("node_connected", { addr: 5 }), AT);
    expect(nodes.byAddr.get(5)!.heardAt).toBeNull();
    nodes.hear(event("traffic", { addr: 5, direction: "down", text: "SEND-" }), AT + 1);
    expect(nodes.byAddr.get(5)!.heardAt).toBeNull();
    // That it could not be reached is no word of it.
    const failed = { addr: 5, direction: "up", text: "not delivered", raw: "0005414604" };
    expect(nodes.hear(event("traffic", failed), AT + 1).node).toBeNull();
    const echo = { addr: 5, direction: "up", text: "echo", raw: "000545" };
    expect(nodes.hear(event("traffic", echo), AT + 2).node!.heardAt).toBe(AT);
  });

  test("is not made of a line of the traffic", () => {
    const nodes = new Nodes();
    expect(nodes.hear(event("traffic", { addr: 17746, direction: "up", text: "READY" }), AT).node).toBeNull();
    expect(nodes.byAddr.size).toBe(0);
  });

  test("grows old by this page's clock, whatever the listener's says", () => {
    const nodes = new Nodes();
    nodes.greet(TS, AT);
    nodes.hear(data(5, degrees(20), TS + 10), AT + 10_000);
    // What was missed comes at once, with its own time.
    nodes.hear(data(6, degrees(20), TS + 4), AT + 10_000);
    expect(nodes.byAddr.get(5)!.heardAt).toBe(AT + 10_000);
    expect(nodes.byAddr.get(6)!.values.get("Temperature")!.at).toBe(AT + 4000);
    nodes.hear({ type: "clock", ts: TS - 3600 }, AT + 11_000);
    nodes.hear(data(5, degrees(21), TS - 3599), AT + 12_000);
    expect(nodes.byAddr.get(5)!.values.get("Temperature")).toMatchObject({ value: 21, at: AT + 12_000 });
  });

  test("is found by words in its name, address or UUID", () => {
    const node = { name: "Node-12", addr: 12, uuid: "00ffee" };
    expect(["", "12", "FFEE node", " node-12 "].map((text) => fits(node, text))).toEqual([true, true, true, true]);
    expect(["13", "node 99"].map((text) => fits(node, text))).toEqual([false, false]);
  });

  test("has its place by its address", () => {
    const nodes = new Nodes();
    for (const addr of [12, 5, 100]) nodes.hear(data(addr, {}), AT);
    nodes.hear(event("node_status", { addr: 12, state: "disconnected" }), AT);
    expect(nodes.ordered().map(({ addr }) => addr)).toEqual([5, 12, 100]);
    expect(nodes.ordered({ text: "1", state: "" }).map(({ addr }) => addr)).toEqual([12, 100]);
    expect(nodes.ordered({ text: "", state: "disconnected" }).map(({ addr }) => addr)).toEqual([12]);
  });

  test("more is not shown, however many a broken line invents", () => {
    const nodes = new Nodes();
    for (let addr = 1; addr <= NODES_MAX; addr += 1) nodes.hear(data(addr, {}), AT);
    expect(nodes.hear(data(60_000, {}), AT)).toEqual({ node: null, isNew: false });
    expect(nodes.byAddr.size).toBe(NODES_MAX);
  });
});

describe("a list", () => {
  test("brings what was before, with its age", () => {
    const nodes = new Nodes();
    const Temperature = { ts: TS - 30, raw: "07d0", value: 20, unit: "°C" };
    nodes.list([listed(5, { uuid: "ab", state: "idle", age_s: 30, last_seen: TS - 30, data: { Temperature } })], AT, AT + 5);
    const node = nodes.byAddr.get(5)!;
    expect(node).toMatchObject({ uuid: "ab", state: "idle", heardAt: AT + 5 - 30_000 });
    expect(node.values.get("Temperature")).toMatchObject({ value: 20, at: AT + 5 - 30_000, isFilled: false });
  });

  test("is older than what was heard since it was asked for", () => {
    const nodes = new Nodes();
    nodes.hear(data(5, degrees(20), TS), AT - 1000);
    nodes.hear(event("node_status", { addr: 5, state: "disconnected" }, TS + 1), AT + 1);
    nodes.hear(data(5, degrees(25), TS + 1), AT + 1);
    nodes.hear(data(6, degrees(25), TS + 1), AT + 1);
    const Temperature = { ts: TS, raw: "07d0", value: 20, unit: "°C" };
    nodes.list([listed(5, { state: "active", data: { Temperature } })], AT, AT + 2);
    expect(nodes.byAddr.get(5)!.state).toBe("disconnected");
    expect(nodes.byAddr.get(5)!.values.get("Temperature")!.value).toBe(25);
    expect(nodes.byAddr.has(6)).toBe(true);
  });

  test("without a node that was not heard since: it is gone", () => {
    const nodes = new Nodes();
    nodes.hear(data(5, degrees(20)), AT - 1000);
    nodes.list([], AT, AT + 1);
    expect(nodes.byAddr.size).toBe(0);
  });

  test("may hold who was never heard, and what is no number", () => {
    const nodes = new Nodes();
    const GPS = { ts: TS, raw: "6c8a1f", value: "6c8a1f", unit: "" };
    const Broken = { ts: TS, raw: "7fc00000", value: null, unit: "g" };
    nodes.list([listed(5, { age_s: null, last_seen: null, data: { GPS, Broken } })], AT, AT + 1);
    const node = nodes.byAddr.get(5)!;
    expect(node.heardAt).toBeNull();
    expect([...node.values.values()].map(({ trend }) => trend.shape(0))).toEqual([null, null]);
  });
});

test("figures have as many digits as any value of their kind had", () => {
  expect([20, 23.39, 0.1 + 0.2, 1e-7, 101_325, -3.5].map(decimals)).toEqual([0, 2, 1, 4, 0, 1]);
  const nodes = new Nodes();
  nodes.hear(data(5, degrees(23.39), TS), AT);
  nodes.hear(data(6, degrees(23.4), TS), AT);
  expect([nodes.digitsOf("Temperature"), nodes.digitsOf("Pressure")]).toEqual([2, 0]);
});

test("what was kept is asked for again after something was missed", () => {
  const nodes = new Nodes();
  nodes.hear(data(5, degrees(20)), AT);
  nodes.byAddr.get(5)!.values.get("Temperature")!.isFilled = true;
  nodes.hear(data(5, degrees(21), TS + 1), AT + 1000);
  expect(nodes.byAddr.get(5)!.values.get("Temperature")!.isFilled).toBe(true);
  nodes.unfill();
  expect(nodes.byAddr.get(5)!.values.get("Temperature")!.isFilled).toBe(false);
});

describe("a curve", () => {
  function curve(...values: [number, number][]): Trend {
    const trend = new Trend();
    for (const [ts, value] of values) trend.push(ts, value);
    return trend;
  }

  test("goes from the first to the last, between the least and the most", () => {
    const shape = curve([0, 10], [10, 20], [20, 15]).shape(0)!;
    expect(shape).toEqual({ path: "M0.0 95.0L0.0 95.0L50.0 5.0L100.0 50.0", low: 10, high: 20, spanS: 20 });
  });

  test("of one value is a point, of none nothing", () => {
    expect(curve([5, 1]).shape(0)).toMatchObject({ path: "M100.0 50.0L100.0 50.0", spanS: 0 });
    expect(curve().shape(0)).toBeNull();
  });

  test("makes no mountain of the last digit", () => {
    const { path } = curve([0, 20.0], [1, 20.01]).shape(2)!;
    expect(path).toBe("M0.0 54.5L0.0 54.5L100.0 45.5");
  });

  test("does not span a hole", () => {
    const { path } = curve([0, 1], [1, 1], [2, 1], [3, 1], [60, 1], [61, 1]).shape(0)!;
    expect(path.match(/M/g)).toHaveLength(2);
  });

  test("begins with what was kept, and ends with what was heard after it", () => {
    const trend = curve([10, 1], [11, 2], [12, 3]);
    trend.fill([
      { ts: 11, value: 5 },
      { ts: 9, value: 4 },
    ]);
    trend.push(12, 7);
    expect(trend.shape(0)).toMatchObject({ low: 3, high: 5, spanS: 3 });
    trend.fill([]);
    expect(trend.shape(0)!.spanS).toBe(3);
  });

  test("begins anew when the clock was set back", () => {
    const trend = curve([1000, 1], [1001, 2], [500, 3], [501, 4]);
    expect(trend.shape(0)).toMatchObject({ low: 3, high: 4, spanS: 1 });
  });

  test("holds the newest values and no more", () => {
    const trend = new Trend();
    for (let ts = 0; ts < 10 * KEPT; ts += 1) trend.push(ts, ts);
    expect(trend.shape(0)).toMatchObject({ low: 9 * KEPT, high: 10 * KEPT - 1, spanS: KEPT - 1 });
  });
});
