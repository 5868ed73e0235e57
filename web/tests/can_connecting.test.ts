import { expect, test } from "vitest";
import type { Form } from "../src/can/connecting";
import { bodyOf, canFd, dataRatesOf, fitting, freeName, nameOfRate, problemOf, ratesOf, textOfNamed, textOfRate } from "../src/can/connecting";

const CANABLE: Form = {
  type: "canable",
  channel: "/dev/ttyACM0",
  rate: 500_000,
  dataRate: 0,
  fd: false,
  listenOnly: false,
  bus: "default",
};

test("what was chosen is said, and nothing else", () => {
  expect(bodyOf(CANABLE)).toEqual({ device_type: "canable", channel: "/dev/ttyACM0", baudrate: "BAUD_500K", bus: "default" });
  expect(bodyOf({ ...CANABLE, fd: true, dataRate: 5_000_000, listenOnly: true, channel: " /dev/ttyACM0 " })).toEqual({
    device_type: "canable",
    channel: "/dev/ttyACM0",
    baudrate: "BAUD_500K",
    data_bitrate: 5_000_000,
    fd: true,
    listen_only: true,
    bus: "default",
  });
});

test.each([
  ["virtual", "bench", { device_type: "virtual", channel: "bench", bus: "default" }],
  ["socketcand", "192.0.2.1:29536/can0", { device_type: "socketcand", channel: "192.0.2.1:29536/can0", bus: "default" }],
] as const)("a %s bus has no rate", (type, channel, body) => {
  expect(bodyOf({ ...CANABLE, type, channel })).toEqual(body);
});

test("the rate of an interface is the system's, unless one is told for the load", () => {
  expect(bodyOf({ ...CANABLE, type: "socketcan", channel: "can1", rate: 0 })).not.toHaveProperty("baudrate");
  expect(bodyOf({ ...CANABLE, type: "socketcan", channel: "can1" })).toHaveProperty("baudrate", "BAUD_500K");
});

test("a rate that the firmware cannot do is not offered, and not kept when the device changes", () => {
  expect(ratesOf(CANABLE)).not.toContain(800_000);
  expect(ratesOf({ ...CANABLE, channel: "0" })).toContain(800_000);
  expect(ratesOf({ ...CANABLE, channel: "0" })).not.toContain(83_000);
  expect(ratesOf({ ...CANABLE, type: "pcan" })).toContain(83_000);
  expect(fitting({ ...CANABLE, rate: 83_000 }).rate).toBe(500_000);
});

test("CAN FD is offered where the adapter can", () => {
  const can = (more: Partial<Form>) => canFd({ ...CANABLE, ...more });
  expect([can({}), can({ channel: "0" }), can({ type: "pcan" }), can({ type: "socketcand" })]).toEqual([true, false, true, false]);
  expect(dataRatesOf(CANABLE)).toEqual([2_000_000, 5_000_000]);
  expect(fitting({ ...CANABLE, channel: "0", fd: true, dataRate: 2_000_000 })).toMatchObject({ fd: false, dataRate: 0 });
  expect(fitting({ ...CANABLE, fd: true })).toMatchObject({ fd: true, dataRate: 2_000_000 });
});

test("what is missing or taken is said before anything is tried", () => {
  expect(problemOf(CANABLE, ["les02"])).toBeNull();
  expect(problemOf({ ...CANABLE, channel: "  " }, [])).toBe("can_channel_missing");
  expect(problemOf({ ...CANABLE, bus: "les02" }, ["les02"])).toBe("can_bus_taken");
  expect(problemOf({ ...CANABLE, bus: "Bus 1" }, [])).toBe("can_bus_bad");
  expect(problemOf({ ...CANABLE, bus: "" }, [])).toBe("can_bus_bad");
});

test("a new bus gets a name that is free", () => {
  expect(freeName([])).toBe("default");
  expect(freeName(["les02", "default", "can2"])).toBe("can3");
});

test("rates have the names that the API knows", () => {
  expect([nameOfRate(1_000_000), nameOfRate(500_000), nameOfRate(5000)]).toEqual(["BAUD_1M", "BAUD_500K", "BAUD_5K"]);
  expect([textOfRate(1_000_000), textOfRate(83_000)]).toEqual(["1 Mbit/s", "83 kbit/s"]);
  expect([textOfNamed("BAUD_1M"), textOfNamed("BAUD_250K"), textOfNamed("odd")]).toEqual(["1 Mbit/s", "250 kbit/s", "odd"]);
});
