/**
 * What the tab *Robots* knows and does, from when it is shown until it is left.
 *
 *     const desk = new Desk();
 *     desk.drive.move(at); desk.letGo()      a stick; letGo says zero for all of them
 *     desk.stop()                            all robots, whoever operates them
 *     desk.close()                           nothing of ours moves any more
 *
 * 1. Whoever lets go of a stick says zero, to those alone who took his moves: zero stops a robot of somebody else, too.
 * 2. A stop that could not be said is said as soon as there is a connection, and again until it is answered.
 * 3. Who gets no answer, or has no connection, holds nothing.
 * 4. After a stop, a refusal, or when a robot came or changed hands, the listener moves it only when the stick has
 *    said zero since. A hand that takes a stick here is always a new one: so it says that zero first.
 */

import { effect, signal, untracked } from "@preact/signals";
import { api } from "../bench";
import { get } from "../rest";
import type { Link } from "../conditions";
import { Line } from "../line";
import { keep, recall, token } from "../settings";
import { Commands } from "./commands";
import type { Listed } from "./fleet";
import { Fleet, deadReason, isHalt, isTheirs } from "./fleet";
import { EVERY_S, SHOWN_S } from "./history";
import { Dial, Mover } from "./movers";
import type { Heard, Target, Values } from "./protocol";
import { parse, sameTarget } from "./protocol";
import type { Point } from "./stick";
import { ZERO, isZero } from "./stick";

/** Of a move; one that comes later is worse than none. */
const MOVE_DEADLINE_MS = 500;
const TICK_MS = 100;
/** Telemetry of many robots is shown so often. */
const SHOW_MS = 200;
const NO_ANSWER_MS = 1000;
const STOP_AGAIN_MS = 300;
const LIST_AGAIN_MS = 10_000;
export const NAME_MAX = 64;

export type Stick = "robot_move" | "camera_move";
export type Slider = "set_speed" | "set_brightness";

const STICKS: readonly Stick[] = ["robot_move", "camera_move"];

export class Desk {
  readonly link = signal<Link>({ state: "connecting" });
  /** Counts what has changed in what follows. */
  readonly changes = signal(0);
  readonly target = signal<Target | null>(null);
  readonly name = signal(recall("robots.name"));
  /** Counts how often sticks had to be let go of: whoever holds one holds it no more. */
  readonly dropped = signal(0);
  readonly fleet = new Fleet();
  readonly commands = new Commands();
  /** What was set from here, of the robots that are chosen. */
  readonly set = signal<Partial<Record<Slider, number>>>({});
  /** Pressed, and not answered yet. */
  stopAskedAt: number | null = null;
  readonly sticks: Record<Stick, Mover>;
  readonly dials: Record<Slider, Dial>;
  /** Who took the moves of the stick that is held, and whether somebody did not. */
  private readonly took: Record<Stick, Set<string>> = { robot_move: new Set(), camera_move: new Set() };
  private readonly refused: Record<Stick, boolean> = { robot_move: false, camera_move: false };
  /** Robots that the stick has to say zero to before it moves them. */
  private readonly owed: Record<Stick, Set<string>> = { robot_move: new Set(), camera_move: new Set() };
  private readonly held = new Set<Stick>();
  private readonly gripped = new Set<Stick>();
  private stopSaidAt = -Infinity;
  private stopId = 0;
  private shownAt = 0;
  private filled = new Set<string>();
  private listTimer = 0;
  private readonly line: Line;
  private readonly ends: (() => void)[];

  constructor() {
    this.sticks = { robot_move: this.mover("robot_move"), camera_move: this.mover("camera_move") };
    this.dials = { set_speed: this.dial("set_speed"), set_brightness: this.dial("set_brightness") };
    this.line = new Line({
      address: () => this.address(),
      heard: (text) => this.heard(text),
      changed: (link) => this.linked(link),
      // It knows no such type, and says so.
      probe: () => void this.line.say('{"type":"ping"}'),
    });
    const tick = setInterval(() => this.tick(), TICK_MS);
    let isFirst = true;
    this.ends = [
      effect(() => {
        token.value;
        untracked(() => (isFirst ? this.line.start() : this.line.again()));
        isFirst = false;
      }),
      effect(() => {
        if (api.value !== "") untracked(() => this.listSoon(false));
      }),
      () => clearInterval(tick),
      () => clearTimeout(this.listTimer),
      ...this.watchPage(),
    ];
  }

  close(): void {
    this.letGo();
    for (const end of this.ends) end();
    for (const dial of Object.values(this.dials)) dial.forget();
    this.line.close();
  }

  retryNow(): void {
    this.line.retryNow();
  }

  /** Why nothing can be steered now, or null. */
  dead(now: number): ReturnType<typeof deadReason> | { why: "no_link" } | { why: "no_answer" } {
    if (this.link.value.state !== "open") return { why: "no_link" };
    if (this.commands.unansweredMs(now) > NO_ANSWER_MS) return { why: "no_answer" };
    return this.target.value === null ? { why: "nobody" } : deadReason(this.fleet, this.target.value, now);
  }

  choose(target: Target): void {
    if (this.target.value !== null && sameTarget(target, this.target.value)) return;
    this.letGo();
    for (const dial of Object.values(this.dials)) dial.forget();
    this.set.value = {};
    this.target.value = target;
  }

  rename(name: string): void {
    const given = name.trim().slice(0, NAME_MAX);
    if (given === this.name.value) return;
    this.name.value = given;
    keep("robots.name", given);
    this.letGo();
    this.line.again();
  }

  move(stick: Stick, to: Point): void {
    if (this.dead(performance.now()) !== null && !isZero(to)) return;
    if (!isZero(to) && !this.held.has(stick)) {
      this.held.add(stick);
      this.took[stick].clear();
      this.refused[stick] = false;
      this.sayOwed(stick);
    }
    this.sticks[stick].move(to);
  }

  /** The hand is off the stick: the next move is another one. */
  release(stick: Stick): void {
    this.sticks[stick].move(ZERO);
    this.held.delete(stick);
  }

  /** While a finger holds a stick the page neither scrolls nor zooms under another. */
  grip(stick: Stick, isHeld: boolean): void {
    if (isHeld) this.gripped.add(stick);
    else this.gripped.delete(stick);
    document.documentElement.toggleAttribute("data-steering", this.gripped.size > 0);
  }

  letGo(): void {
    this.dropped.value += 1;
    this.release("robot_move");
    this.release("camera_move");
  }

  turn(slider: Slider, value: number): void {
    if (this.dead(performance.now()) !== null) return;
    this.set.value = { ...this.set.value, [slider]: value };
    this.dials[slider].turn(value);
  }

  /** First, and without asking whether it may. */
  stop(): void {
    const now = performance.now();
    this.stopAskedAt = now;
    this.stopId = this.commands.sent("stop", {}, now);
    this.sayStop(now);
    this.letGo();
    this.fleet.halt({}, now);
    this.show();
  }

  take(force: boolean): void {
    this.say("take_robot", { force }, this.target.value ?? {});
  }

  give(): void {
    this.letGo();
    this.say("release_robot", {}, this.target.value ?? {});
  }

  /** Whoever looks elsewhere steers nothing. */
  private watchPage(): (() => void)[] {
    const away = () => this.letGo();
    const hidden = () => {
      if (document.hidden) this.letGo();
    };
    for (const name of ["blur", "pagehide", "offline"]) window.addEventListener(name, away);
    document.addEventListener("visibilitychange", hidden);
    return [
      () => ["blur", "pagehide", "offline"].forEach((name) => window.removeEventListener(name, away)),
      () => document.removeEventListener("visibilitychange", hidden),
    ];
  }

  private mover(stick: Stick): Mover {
    return new Mover((at) => {
      if (isZero(at)) this.zero(stick);
      else this.say(stick, { ...at, deadline_ms: MOVE_DEADLINE_MS }, this.target.value ?? {});
    });
  }

  private zero(stick: Stick): void {
    if (!this.refused[stick]) this.say(stick, { ...ZERO }, this.target.value ?? {});
    else for (const device_id of this.took[stick]) this.say(stick, { ...ZERO }, { device_id });
  }

  /** To those alone who are nobody else's: it stops others. */
  private sayOwed(stick: Stick): void {
    const target = this.target.value ?? {};
    const members = this.fleet.members(target);
    const free = members.filter((robot) => !isTheirs(robot, this.fleet.me));
    const owed = free.filter(({ id }) => this.owed[stick].has(id));
    if (owed.length > 0 && free.length === members.length) this.say(stick, { ...ZERO }, target);
    else for (const { id } of owed) this.say(stick, { ...ZERO }, { device_id: id });
    for (const { id } of owed) this.owed[stick].delete(id);
  }

  private owe(device_ids: Iterable<string>, sticks: readonly Stick[] = STICKS): void {
    for (const id of device_ids) for (const stick of sticks) this.owed[stick].add(id);
  }

  private dial(slider: Slider): Dial {
    return new Dial((value) => this.say(slider, { value }, this.target.value ?? {}));
  }

  private say(kind: string, values: Record<string, unknown>, target: Target): void {
    if (this.link.value.state !== "open") return;
    const id = this.commands.sent(kind, values, performance.now());
    this.line.say(JSON.stringify({ type: kind, ...values, ...target, id }));
    this.show();
  }

  private sayStop(now: number): void {
    if (this.line.say(JSON.stringify({ type: "stop", id: this.stopId }))) this.stopSaidAt = now;
  }

  private linked(link: Link): void {
    const was = this.link.value.state;
    this.link.value = link;
    if (link.state === "open") {
      if (this.stopAskedAt !== null) {
        this.stopId = this.commands.sent("stop", {}, performance.now());
        this.sayStop(performance.now());
      }
    } else if (was === "open") {
      this.letGo();
      for (const stick of Object.values(this.sticks)) stick.forget();
      for (const dial of Object.values(this.dials)) dial.forget();
      this.commands.disconnected(performance.now());
      this.set.value = {};
      this.fleet.me = "";
    }
    this.show();
  }

  private heard(text: string): void {
    const message = parse(text);
    if (message === null) return;
    const now = performance.now();
    const isNew = this.fleet.hear(message, now);
    this.understand(message, now);
    if (message.type === "greeting") this.filled.clear();
    if (message.type === "gap" || message.type === "greeting" || isNew) this.listSoon(message.type === "gap");
    this.chooseFirst();
    if (message.type !== "telemetry_update" || now - this.shownAt > SHOW_MS) this.show();
  }

  private understand(message: Heard, now: number): void {
    if (message.type === "ack") {
      const command = this.commands.ack(message, now);
      if (command?.id === this.stopId) this.stopAskedAt = null;
      const stick = command?.kind;
      if (stick === "robot_move" || stick === "camera_move") {
        const all = message.status === "rejected" ? this.fleet.members(this.target.value ?? {}).map(({ id }) => id) : [];
        this.owe([...all, ...Object.keys(message.refused ?? {})], [stick]);
      }
      if ((stick === "robot_move" || stick === "camera_move") && this.held.has(stick)) {
        for (const robot of message.robots ?? []) this.took[stick].add(robot);
        if (message.status === "rejected" || message.refused) this.refused[stick] = true;
        if (message.status === "rejected") {
          if (message.message.includes("let go of the stick first")) this.fleet.halt(this.target.value ?? {}, now);
          this.letGo();
        }
      }
    } else if (message.type === "command_state") {
      this.commands.state(message, now);
    } else if (message.type === "robot_stopped" && (isHalt(message.reason) || message.reason.startsWith("taken by "))) {
      this.owe([message.device_id]);
      if (this.isChosen(message.device_id)) this.letGo();
    } else if (message.type === "robot_status" && (message.status === "connected" || message.status === "stale")) {
      this.owe([message.device_id]);
    } else if (message.type === "robot_status" && message.status === "disconnected") {
      // The stick of a robot that is gone holds nothing, and must be taken anew.
      const target = this.target.value;
      if (target?.device_id === message.device_id) this.letGo();
    } else if (message.type === "robot_operator" && this.isChosen(message.device_id)) {
      if (message.website_id !== this.fleet.me) this.owe([message.device_id]);
      const robot = this.fleet.robots.get(message.device_id)!;
      if (isTheirs(robot, this.fleet.me) && deadReason(this.fleet, this.target.value ?? {}, now)) this.letGo();
    }
  }

  private isChosen(device_id: string): boolean {
    const target = this.target.value;
    return target !== null && this.fleet.members(target).some(({ id }) => id === device_id);
  }

  /** The first that is there, as long as nobody has chosen; never another one later. */
  private chooseFirst(): void {
    if (this.target.value !== null) return;
    const first = this.fleet.ordered().find(({ status }) => status !== "disconnected");
    if (first) this.target.value = { device_id: first.id };
  }

  private tick(): void {
    const now = performance.now();
    if (this.stopAskedAt !== null && now - this.stopSaidAt > STOP_AGAIN_MS) this.sayStop(now);
    if (this.held.size > 0 && this.dead(now) !== null) this.letGo();
    if (now - this.shownAt > SHOW_MS) this.show();
  }

  private show(): void {
    this.shownAt = performance.now();
    this.changes.value += 1;
  }

  private address(): string {
    const query = new URLSearchParams();
    if (this.name.value) query.set("name", this.name.value);
    if (token.value) query.set("token", token.value);
    return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/telemetry/?${query}`;
  }

  // From the REST API, where there is one

  private listSoon(all: boolean): void {
    clearTimeout(this.listTimer);
    this.listTimer = window.setTimeout(() => void this.list(all), TICK_MS);
  }

  private async list(all: boolean): Promise<void> {
    clearTimeout(this.listTimer);
    this.listTimer = window.setTimeout(() => void this.list(false), LIST_AGAIN_MS);
    if (api.peek() === "" || document.hidden || this.link.peek().state !== "open") return;
    const found = await get<{ robots: Listed[]; storing: string }>("/robots").catch(() => null);
    if (found === null) return;
    this.fleet.list(found.robots, found.storing, all);
    this.show();
    for (const robot of this.fleet.ordered()) {
      if (!this.filled.has(robot.id)) await this.fill(robot.id);
    }
  }

  private async fill(id: string): Promise<void> {
    this.filled.add(id);
    const since = Math.floor(this.fleet.serverNow(performance.now())) - SHOWN_S;
    const path = `/robots/${encodeURIComponent(id)}/telemetry`;
    const found = await get<{ samples: (Values & { ts: number })[] }>(path, { since, every: EVERY_S }).catch(() => null);
    if (found === null) return;
    this.fleet.robots.get(id)?.history.fill(found.samples);
    this.show();
  }
}
