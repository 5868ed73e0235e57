/**
 * What the tab *Mesh* knows, from when it is shown until it is left.
 *
 *     const net = new Net();
 *     net.cells.value                 a cell for each node that is looked for; `version` says that it is another
 *     net.lines.value                 the traffic, newest first; `pause` lets it stand
 *     net.close()
 *
 * 1. An event changes what is known, at once, and nothing on the page: that is painted together, some times a
 *    second, on an animation frame, and only what is on the screen.
 * 2. Lists are read when the connection is there, when something was missed, and now and then.
 * 3. The curves of before are read for nodes that are on the screen, a few at a time.
 */

import { computed, effect, signal, untracked } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { address, api } from "../bench";
import type { Link } from "../conditions";
import { Connection } from "../connection";
import type { Envelope } from "../protocol";
import { get } from "../rest";
import { token } from "../settings";
import type { Node, Wanted } from "./nodes";
import { Nodes } from "./nodes";
import type { About, Listed, State, Told } from "./protocol";
import { TYPES, understood } from "./protocol";
import type { Filter, Line } from "./traffic";
import { Traffic, shown } from "./traffic";
import type { Point } from "./trend";
import { KEPT } from "./trend";

/** Figures that change faster cannot be read. */
const PAINT_MS = 200;
const TICK_MS = 1000;
const ABOUT_MS = 3000;
/** Of many nodes; events say what changes in between. */
const LIST_MS = 30_000;
const SOON_MS = 100;
/** Who is too slow is not made slower by reading everything again and again. */
const MISSED_MS = 3000;
const TRAFFIC_LINES = 500;
const AT_A_TIME = 3;

export interface Cell {
  node: Node;
  version: Signal<number>;
  onScreen: boolean;
}

export class Net {
  readonly link = signal<Link>({ state: "connecting" });
  readonly about = signal<About | null>(null);
  /** The names of data types in their order, each between line ends: a text, so that it changes only when they do. */
  readonly types = computed(() => `\n${(this.about.value?.types ?? []).map(({ name }) => `${name}\n`).join("\n")}`);
  /** The list of nodes could be read, or the REST API is not there. */
  readonly isKnown = signal(false);
  readonly cells = signal<readonly Cell[]>([]);
  readonly counts = signal<Record<State, number>>({ active: 0, idle: 0, disconnected: 0 });
  readonly wanted = signal<Wanted>({ text: "", state: "" });
  readonly lines = signal<readonly Line[]>([]);
  readonly filter = signal<Filter>({ direction: "", addr: null, text: "" });
  readonly paused = signal(false);
  /** Lines since it was paused. */
  readonly newer = signal(0);
  /** Samples that were skipped for this page. */
  readonly skipped = signal(0);
  readonly nodes = new Nodes();
  private readonly traffic = new Traffic();
  /** What `lines` are of, and how many had come by then. */
  private painted: readonly Line[] = [];
  private paintedCount = 0;
  private filtered: Filter | null = null;
  private readonly known = new Map<number, Cell>();
  private readonly dirty = new Set<Cell>();
  private isOrderOld = true;
  private isTrafficOld = true;
  private wasTrafficRead = false;
  private hasMissed = false;
  private epoch = "";
  private seq: number | null = null;
  private paintedAt = 0;
  private timer = 0;
  private frame = 0;
  private aboutTimer = 0;
  private listTimer = 0;
  private asking = 0;
  private readonly connection: Connection;
  private readonly ends: (() => void)[];
  private readonly observer = new IntersectionObserver((entries) => this.moved(entries), { rootMargin: "200px" });

  constructor() {
    this.connection = new Connection({
      address: () => this.address(),
      heard: (event) => this.heard(event),
      changed: (link) => {
        this.link.value = link;
      },
    });
    const tick = setInterval(() => this.tick(), TICK_MS);
    const seen = () => {
      if (!document.hidden) this.readSoon();
    };
    document.addEventListener("visibilitychange", seen);
    let isFirst = true;
    this.ends = [
      effect(() => {
        token.value;
        if (!isFirst) untracked(() => this.connection.again());
        isFirst = false;
      }),
      effect(() => {
        if (api.value !== "") untracked(() => this.readSoon());
      }),
      effect(() => {
        this.wanted.value;
        this.filter.value;
        this.isOrderOld = this.isTrafficOld = true;
        untracked(() => this.schedule(0));
      }),
      () => document.removeEventListener("visibilitychange", seen),
      () => clearInterval(tick),
      () => [this.timer, this.aboutTimer, this.listTimer].forEach((each) => clearTimeout(each)),
      () => cancelAnimationFrame(this.frame),
      () => this.observer.disconnect(),
      () => this.connection.close(),
    ];
  }

  close(): void {
    for (const end of this.ends) end();
  }

  /** What is seen stands, to the line: nothing moves away from under a finger. */
  pause(isPaused: boolean): void {
    if (isPaused === this.paused.peek()) return;
    this.newer.value = this.traffic.received - this.paintedCount;
    this.paused.value = isPaused;
    this.isTrafficOld = true;
    this.schedule(0);
  }

  clearTraffic(): void {
    this.traffic.clear();
    this.pause(false);
    this.isTrafficOld = true;
    this.schedule(0);
  }

  /** What was sent may have changed everything. */
  readSoon(): void {
    clearTimeout(this.aboutTimer);
    clearTimeout(this.listTimer);
    this.aboutTimer = window.setTimeout(() => void this.readAbout(), SOON_MS);
    this.listTimer = window.setTimeout(() => void this.readNodes(), SOON_MS);
  }

  /** Whether it is on the screen is found out as long as it is in the page. */
  readonly watch = (element: Element | null): void => {
    if (element !== null) this.observer.observe(element);
  };

  private address(): string {
    const resume = this.seq === null ? "" : `&resume=${this.epoch}:${this.seq}`;
    return address(`types=${TYPES}&seq=1${resume}`);
  }

  private heard(event: Envelope): void {
    const at = performance.now();
    if (event.type === "hello") this.greeted(event, at);
    if (event.seq !== undefined) this.seq = event.seq;
    // What was lost on the way into the listener is none of a mesh.
    if (event.type === "gap" && ["client", "resume"].includes(String(event.payload.where))) this.missed(event.payload.skipped);
    const told = understood(event);
    if (told === null) return;
    if (told.type === "traffic") {
      this.traffic.push(told);
      this.isTrafficOld = true;
    } else if (told.type === "uart") {
      const { state, device, why } = told;
      const about = this.about.peek() ?? { uart: { state, device }, listeners: 0 };
      this.about.value = { ...about, uart: { ...about.uart, state, device: device || about.uart.device, why } };
    }
    const { node, isNew } = this.nodes.hear(told, at);
    if (node !== null) this.touch(node);
    if (isNew || told.type === "node_connected" || told.type === "node_status") this.isOrderOld = true;
    this.schedule();
  }

  private greeted({ ts, payload }: Envelope, at: number): void {
    const epoch = String(payload.epoch);
    if (epoch !== this.epoch) {
      this.seq = typeof payload.seq === "number" ? payload.seq : null;
      this.nodes.unfill();
      this.wasTrafficRead = false;
    }
    this.epoch = epoch;
    this.nodes.greet(ts, at);
    this.readSoon();
  }

  private missed(skipped: unknown): void {
    if (typeof skipped === "number") this.skipped.value += skipped;
    if (this.hasMissed) return;
    this.hasMissed = true;
    clearTimeout(this.listTimer);
    this.listTimer = window.setTimeout(() => void this.readNodes(), MISSED_MS);
  }

  private touch(node: Node): void {
    const cell = this.known.get(node.addr);
    if (cell === undefined) this.isOrderOld = true;
    else this.dirty.add(cell);
  }

  // Painting

  private schedule(everyMs = PAINT_MS): void {
    if (this.timer !== 0 || this.frame !== 0) return;
    const wait = Math.max(0, this.paintedAt + everyMs - performance.now());
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
    }, wait);
  }

  private paint(): void {
    this.paintedAt = performance.now();
    for (const cell of this.dirty) {
      if (!cell.onScreen) continue;
      this.dirty.delete(cell);
      cell.version.value += 1;
    }
    if (this.isOrderOld) {
      this.isOrderOld = false;
      this.order();
    }
    if (this.isTrafficOld) {
      this.isTrafficOld = false;
      this.paintTraffic();
    }
    void this.fillCurves();
  }

  private paintTraffic(): void {
    if (this.paused.peek()) {
      this.newer.value = this.traffic.received - this.paintedCount;
      if (this.filtered === this.filter.peek()) return;
    } else {
      this.painted = this.traffic.all();
      this.paintedCount = this.traffic.received;
    }
    this.filtered = this.filter.peek();
    this.lines.value = shown(this.painted, this.filtered);
  }

  private order(): void {
    for (const addr of this.known.keys()) if (!this.nodes.byAddr.has(addr)) this.known.delete(addr);
    const next = this.nodes.ordered(this.wanted.peek()).map((node) => this.cellOf(node));
    const before = this.cells.peek();
    if (next.length !== before.length || next.some((cell, index) => cell !== before[index])) this.cells.value = next;
    const counts = this.nodes.counts();
    const { active, idle, disconnected } = this.counts.peek();
    if (counts.active !== active || counts.idle !== idle || counts.disconnected !== disconnected) this.counts.value = counts;
  }

  private cellOf(node: Node): Cell {
    let cell = this.known.get(node.addr);
    if (cell === undefined || cell.node !== node) {
      cell = { node, version: signal(0), onScreen: true };
      this.known.set(node.addr, cell);
    }
    return cell;
  }

  /** What changes without an event: everything grows old. */
  private tick(): void {
    for (const cell of this.known.values()) if (cell.onScreen) this.dirty.add(cell);
    this.schedule();
  }

  private moved(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const cell = this.known.get(Number((target as HTMLElement).dataset.node));
      if (cell === undefined) continue;
      cell.onScreen = isIntersecting && target.isConnected;
      if (cell.onScreen) this.dirty.add(cell);
    }
    this.schedule();
  }

  // From the REST API, where there is one

  private get isReadable(): boolean {
    return api.peek() !== "" && !document.hidden && this.link.peek().state === "open";
  }

  private async readAbout(): Promise<void> {
    clearTimeout(this.aboutTimer);
    this.aboutTimer = window.setTimeout(() => void this.readAbout(), ABOUT_MS);
    if (!this.isReadable) return;
    const found = await get<About>("/mesh").catch(() => null);
    if (found !== null) this.about.value = found;
  }

  private async readNodes(): Promise<void> {
    clearTimeout(this.listTimer);
    this.listTimer = window.setTimeout(() => void this.readNodes(), LIST_MS);
    if (api.peek() === "" && this.epoch !== "") this.isKnown.value = true;
    if (!this.isReadable) return;
    if (this.hasMissed) {
      this.hasMissed = this.wasTrafficRead = false;
      this.nodes.unfill();
    }
    const askedAt = performance.now();
    const found = await get<{ nodes: Listed[] }>("/mesh/nodes").catch(() => null);
    if (found !== null) {
      this.nodes.list(found.nodes, askedAt, performance.now());
      this.isKnown.value = this.isOrderOld = true;
      for (const cell of this.known.values()) this.dirty.add(cell);
    }
    if (!this.wasTrafficRead) await this.readTraffic();
    this.schedule();
  }

  private async readTraffic(): Promise<void> {
    this.wasTrafficRead = true;
    const found = await get<{ lines: Told[] }>("/mesh/traffic", { limit: TRAFFIC_LINES }).catch(() => null);
    if (found === null) return;
    this.traffic.fill(found.lines);
    this.isTrafficOld = true;
  }

  private async fillCurves(): Promise<void> {
    if (this.asking >= AT_A_TIME || !this.isReadable) return;
    for (const cell of this.known.values()) {
      if (!cell.onScreen) continue;
      for (const [name, value] of cell.node.values) {
        if (value.isFilled) continue;
        value.isFilled = true;
        if (typeof value.value !== "number") continue;
        this.asking += 1;
        const path = `/mesh/nodes/${cell.node.addr}/data/${encodeURIComponent(name)}`;
        const found = await get<{ values: { ts: number; value: unknown }[] }>(path, { history: KEPT }).catch(() => null);
        this.asking -= 1;
        value.trend.fill((found?.values ?? []).filter((each): each is Point => typeof each.value === "number"));
        this.touch(cell.node);
        this.schedule();
        return void this.fillCurves();
      }
    }
  }
}
