import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Dial, Mover } from "../src/robots/movers";
import type { Point } from "../src/robots/stick";
import { fromKeys, fromPointer } from "../src/robots/stick";

describe("a finger on the stick", () => {
  test.each([
    ["in the middle", 0, 0, 0, 0],
    ["hardly off it", 5, 5, 0, 0],
    ["forward", 0, -100, 0, 1],
    ["back", 0, 100, 0, -1],
    ["right", 100, 0, 1, 0],
    ["far beyond the rim", -900, 0, -1, 0],
    ["half way", 55, 0, 0.5, 0],
  ])("%s", (_, right, down, x, y) => {
    expect(fromPointer(right, down, 100)).toEqual({ x, y });
  });

  test("never leaves the circle, and is never minus zero", () => {
    for (let degrees = 0; degrees < 360; degrees += 1) {
      const angle = (degrees * Math.PI) / 180;
      const { x, y } = fromPointer(200 * Math.cos(angle), 200 * Math.sin(angle), 100);
      expect(Math.hypot(x, y)).toBeLessThanOrEqual(1);
      expect(Math.hypot(x, y)).toBeGreaterThan(0.96);
      expect(Object.is(x, -0) || Object.is(y, -0)).toBe(false);
    }
  });

  test("grows from nothing: there is no jump at the edge of the dead middle", () => {
    expect(fromPointer(10, 0, 100).x).toBe(0);
    expect(fromPointer(13, 0, 100).x).toBeLessThan(0.05);
  });

  test("of a stick without a size is nowhere", () => {
    expect(fromPointer(10, 10, 0)).toEqual({ x: 0, y: 0 });
  });
});

describe("keys", () => {
  test.each([
    [["ArrowUp"], false, 0, 1],
    [["KeyW", "ArrowUp"], false, 0, 1],
    [["KeyS"], false, 0, -1],
    [["ArrowLeft", "ArrowRight"], false, 0, 0],
    [["KeyW", "KeyD"], false, 0.7, 0.7],
    [["KeyA"], true, -0.34, 0],
    [["KeyX"], false, 0, 0],
  ])("%j, slow: %s", (codes, slow, x, y) => {
    expect(fromKeys(codes, slow)).toEqual({ x, y });
  });
});

describe("what is said", () => {
  let began = 0;
  beforeEach(() => {
    vi.useFakeTimers();
    began = performance.now();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  function mover(): [Mover, [number, Point][]] {
    const said: [number, Point][] = [];
    return [new Mover((at) => said.push([performance.now() - began, at])), said];
  }
  const FORWARD = { x: 0, y: 1 };
  const BACK = { x: 0, y: -1 };
  const ZERO = { x: 0, y: 0 };

  test("a stick speaks at once, and again every tenth of a second while it is held", () => {
    const [stick, said] = mover();
    stick.move(FORWARD);
    expect(said).toEqual([[0, FORWARD]]);
    vi.advanceTimersByTime(250);
    expect(said.map(([at]) => at)).toEqual([0, 100, 200]);
  });

  test("it says zero at once, once, and nothing after it", () => {
    const [stick, said] = mover();
    stick.move(FORWARD);
    vi.advanceTimersByTime(5);
    stick.move(BACK); // which waits for its turn
    stick.move(ZERO);
    stick.move(ZERO);
    vi.advanceTimersByTime(1000);
    expect(said).toEqual([
      [0, FORWARD],
      [5, ZERO],
    ]);
  });

  test("of many moves the newest is said, twenty times a second at most", () => {
    const [stick, said] = mover();
    for (let step = 0; step < 100; step += 1) {
      stick.move({ x: (step + 1) / 100, y: 0 });
      vi.advanceTimersByTime(5);
    }
    expect(said.length).toBeLessThanOrEqual(11);
    vi.advanceTimersByTime(60);
    expect(said.at(-1)![1]).toEqual({ x: 1, y: 0 });
  });

  test("who moves again after zero says so at once, the pace allowing", () => {
    const [stick, said] = mover();
    stick.move(FORWARD);
    vi.advanceTimersByTime(20);
    stick.move(ZERO);
    stick.move(BACK);
    vi.advanceTimersByTime(50);
    expect(said.map(([, at]) => at)).toEqual([FORWARD, ZERO, BACK]);
  });

  test("a stick that was never away from the middle says nothing, one that is forgotten neither", () => {
    const [stick, said] = mover();
    stick.move(ZERO);
    expect(said).toEqual([]);
    stick.move(FORWARD);
    stick.forget();
    vi.advanceTimersByTime(1000);
    expect(said).toHaveLength(1);
  });

  test("a slider says its first at once, its newest now and then, and always its last", () => {
    const said: number[] = [];
    const dial = new Dial((value) => said.push(value));
    for (let value = 1; value <= 60; value += 1) {
      dial.turn(value);
      vi.advanceTimersByTime(10);
    }
    dial.turn(61);
    vi.advanceTimersByTime(1000);
    expect(said[0]).toBe(1);
    expect(said.at(-1)).toBe(61);
    expect(said.length).toBeLessThan(8);
    dial.turn(61);
    vi.advanceTimersByTime(1000);
    expect(said.filter((value) => value === 61)).toHaveLength(1);
  });
});
