/** The section *Live*: any source, as it is and as its rolling mean with its standard deviation. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, epoch } from "../bench";
import type { Picture } from "../chart";
import { Chart, useZoom } from "../chart";
import { age } from "../format";
import type { Key } from "../i18n";
import { language, t } from "../i18n";
import type { Look } from "../plot";
import { usePoll } from "../poll";
import { shownTheme } from "../settings";
import type { Axis, Drawn } from "./drawn";
import { live, plain, Roll } from "./drawn";
import type { Packet } from "./packet";
import { rolling } from "./rolling";
import { SourceChoice } from "./source_choice";
import { readSources, unitOf } from "./sources";
import { DEMO, Stream } from "./stream";
import { isArray, terms, wantedOf } from "./terms";
import { Tools } from "./tools";

const SOURCES_MS = 10_000;
const TICK_MS = 500;
/** Later than it should be by so much, nothing here is current. */
const LATE_MS = 2000;
/** So much is always shown, or a millimetre would fill the picture. */
const LEAST: Record<string, number> = { mm: 2, "mm/s": 10, "mm/s²": 20 };
const LEAST_OF_OTHERS = 1e-9;

export function Live() {
  usePoll(readSources, SOURCES_MS, [api.value, epoch.value]);
  const [scope, setScope] = useState<Scope | null>(null);
  useEffect(() => {
    const made = new Scope();
    setScope(made);
    return () => made.stream.close();
  }, []);
  return (
    <section class="live-signals">
      <SourceChoice changed={() => scope?.choose()} />
      {scope && <Shown scope={scope} />}
    </section>
  );
}

/** What has come, until it is drawn. */
class Scope {
  readonly stream: Stream;
  private roll = new Roll(1);
  private packet: Packet | null = null;
  private drawn: Drawn | null = null;
  private drawnVersion = -1;
  /** Counts what has changed. */
  version = 0;
  paused = false;

  constructor() {
    this.forget();
    this.stream = new Stream({
      wanted: () => wantedOf(terms.peek()),
      packet: (packet) => this.take(packet),
    });
  }

  choose(): void {
    this.forget();
    this.stream.choose();
  }

  /** More or fewer points, or packets: what is drawn stays until they come. */
  change(): void {
    if (isArray(terms.peek().source)) this.forget();
    this.paused = false;
    this.stream.choose(true);
  }

  begin(): void {
    this.forget();
    this.stream.begin();
  }

  /** Null: nothing has come. */
  current(): Drawn | null {
    if (this.paused || this.packet === null || this.drawnVersion === this.version) return this.drawn;
    const { source } = terms.peek();
    this.drawnVersion = this.version;
    this.drawn = isArray(source) ? this.roll.drawn() : source === DEMO ? plain(this.packet) : live(this.packet);
    return this.drawn;
  }

  private take(packet: Packet): void {
    this.packet = packet;
    if (isArray(terms.peek().source)) this.roll.push(packet);
    this.version += 1;
  }

  private forget(): void {
    this.roll = new Roll(terms.peek().window);
    this.packet = this.drawn = null;
    this.version += 1;
    this.paused = false;
  }
}

function Shown({ scope }: { scope: Scope }) {
  const zoom = useZoom();
  const paused = useSignal(false);
  const axis = useSignal<Axis>("plain");
  const odd = useSignal(0);
  const { source, span } = terms.value;
  const { streaming } = scope.stream.state.value;
  const unit = scope.stream.state.value.unit || unitOf(source);
  const late = useLateness(scope);
  const drawing = [scope, source, unit, axis.value, span, language.value];
  // A chart that is made anew is drawn anew.
  const feeds = useMemo(() => feedsOf(scope, axis, odd), [...drawing, shownTheme()]);
  const looks = useMemo(() => looksOf(source, unit, axis.value, span), drawing);
  useEffect(() => {
    zoom.span.value = null;
    paused.value = false;
  }, [source]);
  const { ended, waiting } = scope.stream.state.value;
  const isOld = !ended && (!streaming || late !== null || waiting);
  return (
    <>
      <Tools
        stream={scope.stream}
        paused={paused.value}
        begin={() => {
          paused.value = false;
          scope.begin();
        }}
        pause={() => {
          scope.current();
          scope.paused = paused.value = !paused.value;
        }}
        changed={() => {
          paused.value = false;
          scope.change();
        }}
      />
      <Trouble scope={scope} late={late} odd={odd.value} />
      {paused.value && <p class="told warn">{t("ar_paused")}</p>}
      <div class={isOld ? "stack old" : "stack"} data-axis={axis.value}>
        <Chart key={`signal ${source} ${axis.value}`} look={looks.signal} zoom={zoom} feed={feeds.signal} class="upper" />
        <Chart key={`rolling ${source} ${axis.value}`} look={looks.rolling} zoom={zoom} feed={feeds.rolling} class="low" />
      </div>
      <p class="hint">{t("ar_rolling_help", { span: String(span) })}</p>
    </>
  );
}

/** In seconds; null while packets come as they should. */
function useLateness(scope: Scope): number | null {
  const late = useSignal<number | null>(null);
  useEffect(() => {
    const timer = setInterval(() => {
      const { streaming } = scope.stream.state.peek();
      const { packetAt } = scope.stream;
      const since = packetAt === null ? 0 : performance.now() - packetAt;
      late.value = streaming && since > LATE_MS + 1000 / terms.peek().rate ? since / 1000 : null;
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [scope]);
  return late.value;
}

function Trouble({ scope, late, odd }: { scope: Scope; late: number | null; odd: number }) {
  const link = scope.stream.link.value;
  const { streaming, ended, waiting, reason, error, skipped } = scope.stream.state.value;
  const { source } = terms.value;
  const told: [string, string, boolean][] = [];
  if (link.state === "refused") told.push(["refused", t("ar_refused", { reason: link.reason }), true]);
  else if (scope.stream.isLost.value) told.push(["no_link", t("ar_no_link", { reason: link.state === "waiting" ? link.reason : "" }), true]);
  else if (error) told.push(["error", t("ar_error", { reason: error }), true]);
  else if (waiting) told.push(["waiting", t("ar_waiting", { source, reason }), true]);
  else if (late !== null) told.push(["late", t("ar_late", { age: age(late) }), true]);
  else if (reason && !streaming) told.push(["failed", t("ar_error", { reason }), true]);
  if (ended) told.push(["ended", t("ar_ended"), false]);
  if (skipped > 0) told.push(["skipped", t("ar_skipped", { count: skipped }), false]);
  if (odd > 0 && streaming) told.push(["odd", t("ar_odd", { count: odd }), false]);
  return (
    <div role="alert">
      {told.map(([key, sentence, isBad]) => (
        <p key={key} class={isBad ? "told bad" : "told warn"} data-trouble={key}>
          {sentence}
        </p>
      ))}
      {link.state === "open" && source === DEMO && !streaming && <p class="hint">{t("ar_demo_rests")}</p>}
    </div>
  );
}

interface Value<T> {
  value: T;
}

/** Both are drawn of the same points; each draws only what is new. */
function feedsOf(scope: Scope, axis: Value<Axis>, odd: Value<number>) {
  return { signal: feedOf(({ x, y }) => [x, y]), rolling: feedOf(ofRolling) };

  function feedOf(columns: (drawn: Drawn) => Picture["data"]): () => Picture | null {
    let shown = "";
    return () => {
      const { source, span } = terms.peek();
      const version = `${source} ${span} ${scope.paused ? "paused" : scope.version}`;
      if (version === shown) return null;
      shown = version;
      const drawn = scope.current() ?? { x: [], y: [], axis: "plain" as const, odd: 0 };
      axis.value = drawn.axis;
      odd.value = drawn.odd;
      const data = columns(drawn);
      const first = drawn.x[0] ?? 0;
      const last = drawn.x[drawn.x.length - 1] ?? 1;
      return { data, span: [first, last > first ? last : first + 1] };
    };
  }
}

function ofRolling({ x, y }: Drawn): Picture["data"] {
  const found = rolling(y, terms.peek().span);
  const { deviation } = found;
  // Its line does not span a hole either.
  const mean = found.mean.map((each, index) => (y[index] === null ? null : each));
  const edge = (sign: number) => mean.map((each, index) => (each === null ? null : each + sign * deviation[index]!));
  return [x, mean, edge(1), edge(-1)];
}

const AXES: Record<Axis, Key> = { ago: "ar_seconds_ago", plain: "ar_x", number: "ar_number" };

function looksOf(source: string, unit: string, axis: Axis, span: number): { signal: Look; rolling: Look } {
  const name = source === DEMO ? t("ar_demo") : source.replace(/^\w+:/, "");
  const withUnit = (text: string) => [text, unit].filter(Boolean).join(" ");
  const both = { leastSpan: LEAST[unit] ?? LEAST_OF_OTHERS, xTitle: t(AXES[axis]) };
  const digits = 3;
  return {
    signal: { ...both, title: withUnit(name), lines: [{ label: name, color: "--curve-1", unit, digits }] },
    rolling: {
      ...both,
      title: withUnit(t("ar_mean_and_deviation")),
      lines: [
        { label: t("ar_mean", { span: String(span) }), color: "--curve-2", unit, digits },
        { label: t("ar_upper"), color: "--curve-2", unit, digits, edge: true },
        { label: t("ar_lower"), color: "--curve-2", unit, digits, edge: true },
      ],
      band: [2, 3],
    },
  };
}
