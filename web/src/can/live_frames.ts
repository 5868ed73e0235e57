/**
 * What the table of frames shows: painted on animation frames, and only rows that are other and on the screen.
 *
 * While it is paused frames go on being counted; what is shown stands. Rows off the screen are painted when they
 * come into it.
 */

import { effect, signal, untracked } from "@preact/signals";
import type { Signal } from "@preact/signals";
import { api } from "../bench";
import { bus, chosen } from "./buses";
import type { Counted, Row, Shown } from "./frames";
import { FrameTable, shown } from "./frames";
import { get } from "../rest";
import { CanStream } from "./stream";

/** So often a second the newest frame of each identifier comes. */
const RATE = 10;
const TICK_MS = 500;
const COUNT_MS = 1000;

export interface Cell {
  row: Row;
  shown: Signal<Shown>;
  onScreen: boolean;
}

export class LiveFrames {
  readonly cells = signal<Cell[]>([]);
  readonly total = signal(0);
  readonly filter = signal("");
  readonly paused = signal(false);
  /** Frames that have come since it was paused. */
  readonly since = signal(0);
  /** Skipped for this page. */
  readonly skipped = signal(0);
  readonly without = signal(0);
  readonly allUnfolded = signal(false);
  /** The rows that are not as all are. */
  private readonly others = signal<ReadonlySet<string>>(new Set());
  readonly stream: CanStream;
  private readonly table = new FrameTable();
  private readonly known = new Map<string, Cell>();
  private readonly dirty = new Set<Cell>();
  private isOrderOld = false;
  /** Frames of the bus as the listener counts them; of each identifier only some come here. */
  private onBus: number | null = null;
  private pausedAt = { here: 0, onBus: this.onBus };
  private frame = 0;
  private readonly ends: (() => void)[];
  private readonly observer = new IntersectionObserver((entries) => this.moved(entries), { rootMargin: "200px" });

  constructor() {
    let before = chosen.peek();
    this.stream = new CanStream({
      query: () => ({ ...(chosen.peek() && { bus: chosen.peek() }), rate: RATE }),
      frame: (frame) => {
        const { row, isNew } = this.table.take(frame, performance.now());
        if (isNew) this.isOrderOld = true;
        if (row !== null) this.touch(row);
      },
      gap: (skipped) => {
        this.skipped.value += skipped;
      },
    });
    const tick = setInterval(() => this.tick(), TICK_MS);
    const count = setInterval(() => void this.count(), COUNT_MS);
    this.ends = [
      effect(() => {
        if (chosen.value === before) return;
        before = chosen.value;
        untracked(() => {
          this.clear();
          this.stream.again();
        });
      }),
      effect(() => {
        this.filter.value;
        this.isOrderOld = true;
        this.schedule();
      }),
      () => clearInterval(tick),
      () => clearInterval(count),
      () => cancelAnimationFrame(this.frame),
      () => this.observer.disconnect(),
      () => this.stream.close(),
    ];
  }

  close(): void {
    for (const end of this.ends) end();
  }

  /** Nothing was seen yet. */
  clear(): void {
    this.table.clear();
    this.known.clear();
    this.dirty.clear();
    this.cells.value = [];
    this.total.value = this.skipped.value = this.without.value = 0;
    this.since.value = 0;
    this.onBus = null;
    this.paused.value = false;
  }

  pause(): void {
    this.paused.value = !this.paused.value;
    this.pausedAt = { here: this.table.received, onBus: this.onBus };
    this.since.value = 0;
    this.schedule();
  }

  isUnfolded(key: string): boolean {
    return this.allUnfolded.value !== this.others.value.has(key);
  }

  unfold(key: string): void {
    const next = new Set(this.others.value);
    if (!next.delete(key)) next.add(key);
    this.others.value = next;
  }

  unfoldAll(): void {
    this.allUnfolded.value = !this.allUnfolded.value;
    this.others.value = new Set();
  }

  /** Nothing that comes from there is current. */
  get isStale(): boolean {
    return this.stream.link.peek().state !== "open" || (bus.peek() !== null && bus.peek()?.state !== "bus_up");
  }

  /** Whether it is on the screen is found out as long as it is in the page. */
  readonly watch = (element: Element | null): void => {
    if (element !== null) this.observer.observe(element);
  };

  private touch(row: Row): void {
    const cell = this.known.get(row.key);
    if (cell !== undefined) this.dirty.add(cell);
    this.schedule();
  }

  private schedule(): void {
    if (this.frame !== 0 || this.paused.peek()) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  private paint(): void {
    if (this.paused.peek()) return;
    const now = performance.now();
    const { isStale } = this;
    for (const cell of this.dirty) {
      if (!cell.onScreen) continue;
      this.dirty.delete(cell);
      cell.shown.value = shown(cell.row, now, isStale, cell.shown.peek());
    }
    if (this.isOrderOld) {
      this.isOrderOld = false;
      this.cells.value = this.table.ordered(this.filter.peek()).map((row) => this.cellOf(row, now));
      this.total.value = this.table.rows.size;
    }
  }

  private cellOf(row: Row, now: number): Cell {
    let cell = this.known.get(row.key);
    if (cell === undefined) {
      cell = { row, shown: signal(shown(row, now, this.isStale)), onScreen: true };
      this.known.set(row.key, cell);
    }
    return cell;
  }

  /** What changes without a frame: marks fade, values grow old. */
  private tick(): void {
    this.without.value = this.table.without;
    if (this.paused.value) {
      const { here, onBus } = this.pausedAt;
      const since = onBus === null || this.onBus === null ? this.table.received - here : this.onBus - onBus;
      this.since.value = Math.max(0, since);
      return;
    }
    const now = performance.now();
    for (const cell of this.known.values()) {
      if (!cell.onScreen) continue;
      const before = cell.shown.peek();
      const next = shown(cell.row, now, this.isStale, before);
      const isOld = next.oldS !== before.oldS || next.signals.some(({ oldS }) => oldS !== null);
      if (isOld || before.octets.some(({ changed }) => changed)) this.dirty.add(cell);
    }
    if (this.dirty.size > 0) this.schedule();
  }

  private async count(): Promise<void> {
    const name = chosen.peek();
    if (api.peek() === "" || name === "" || document.hidden) return;
    const found = await get<{ frames: number; ids: Counted[] }>(`/buses/${encodeURIComponent(name)}/statistics`).catch(() => null);
    if (found === null || name !== chosen.peek()) return;
    this.onBus = found.frames;
    for (const row of this.table.count(found.ids)) this.touch(row);
  }

  private moved(entries: IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const cell = this.known.get((target as HTMLElement).dataset.id ?? "");
      if (cell === undefined) continue;
      cell.onScreen = isIntersecting;
      if (isIntersecting) this.dirty.add(cell);
    }
    this.schedule();
  }
}
