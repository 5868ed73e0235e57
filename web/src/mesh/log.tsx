/**
 * The traffic, newest first, as far as it can be seen: of two thousand lines some thirty are in the page.
 *
 * Who scrolls away from the newest reads: nothing moves under his eyes until he wants to go on.
 */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { save } from "../exports";
import { fileName, stamp } from "../format";
import { figure, locale, t, word } from "../i18n";
import type { Net } from "./net";
import { ARROWS } from "./signs";
import type { Filter, Line } from "./traffic";
import { DIRECTIONS, textOf, visible } from "./traffic";

/** As the style sheet has it. */
const ROW_REM = 1.75;

export function Log({ net }: { net: Net }) {
  const lines = net.lines.value;
  const chosen = useSignal<Line | null>(null);
  return (
    <section class="traffic" aria-labelledby="ms-traffic">
      <h2 id="ms-traffic">{t("ms_traffic")}</h2>
      <Tools net={net} />
      <p class={net.paused.value ? "hint told-of stands" : "hint told-of"} role="status">
        {net.paused.value ? t("ms_paused", { count: net.newer.value }) : t("ms_choose_line")}
      </p>
      <Rows net={net} lines={lines} chosen={chosen.value} choose={(line) => (chosen.value = line)} />
      <Whole line={chosen.value} />
    </section>
  );
}

function Tools({ net }: { net: Net }) {
  const filter = net.filter.value;
  const want = (some: Partial<Filter>) => {
    net.filter.value = { ...filter, ...some };
  };
  // Also one of which nothing is known any more: what hides lines is seen.
  const addrs = new Set([...net.nodes.byAddr.keys(), ...(filter.addr === null ? [] : [filter.addr])]);
  net.cells.value; // they change together
  return (
    <div class="tools">
      <select
        aria-label={t("ms_direction")}
        value={filter.direction}
        onChange={(event) => want({ direction: event.currentTarget.value })}
      >
        <option value="">{t("ms_all_directions")}</option>
        {DIRECTIONS.map((direction) => (
          <option key={direction} value={direction}>
            {ARROWS[direction]} {t(`ms_direction_${direction}`)}
          </option>
        ))}
      </select>
      <select
        aria-label={t("ms_node")}
        value={filter.addr === null ? "" : String(filter.addr)}
        onChange={(event) => want({ addr: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })}
      >
        <option value="">{t("ms_all_nodes")}</option>
        {[...addrs]
          .sort((one, other) => one - other)
          .map((addr) => (
            <option key={addr} value={addr}>
              {net.nodes.byAddr.get(addr)?.name ?? addr}
            </option>
          ))}
      </select>
      <input
        type="search"
        class="filter"
        aria-label={t("ms_filter_traffic")}
        placeholder={t("ms_filter_traffic")}
        value={filter.text}
        onInput={(event) => want({ text: event.currentTarget.value })}
      />
      <button type="button" aria-pressed={net.paused.value} onClick={() => net.pause(!net.paused.value)}>
        {t("ms_pause")}
      </button>
      <button type="button" onClick={() => net.clearTraffic()}>
        {t("ms_clear")}
      </button>
      <button type="button" disabled={net.lines.value.length === 0} onClick={() => saveLines(net.lines.value)}>
        {t("save")}
      </button>
    </div>
  );
}

interface RowsProps {
  net: Net;
  lines: readonly Line[];
  chosen: Line | null;
  choose: (line: Line | null) => void;
}

function Rows({ net, lines, chosen, choose }: RowsProps) {
  const box = useRef<HTMLDivElement>(null);
  const place = useSignal({ scrolled: 0, height: 0 });
  const row = ROW_REM * parseFloat(getComputedStyle(document.documentElement).fontSize);
  useEffect(() => {
    const element = box.current!;
    const measured = new ResizeObserver(() => {
      place.value = { scrolled: element.scrollTop, height: element.clientHeight };
    });
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  const isPaused = net.paused.value;
  useEffect(() => {
    if (!isPaused) {
      choose(null);
      box.current!.scrollTop = 0;
    }
  }, [isPaused]);
  const { first, end } = visible(place.value.scrolled, place.value.height, row, lines.length);
  const at = chosen === null ? -1 : lines.findIndex(({ id }) => id === chosen.id);
  const read = (line: Line | undefined) => {
    if (line === undefined) return;
    net.pause(true);
    choose(line);
  };
  const press = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = Math.min(lines.length - 1, Math.max(0, at + step));
    read(lines[next]);
    const element = box.current!;
    if (next * row < element.scrollTop) element.scrollTop = next * row;
    else if ((next + 1) * row > element.scrollTop + element.clientHeight) {
      element.scrollTop = (next + 1) * row - element.clientHeight;
    }
  };
  return (
    <div
      ref={box}
      class="lines"
      role="listbox"
      tabIndex={0}
      aria-label={t("ms_lines")}
      aria-activedescendant={at >= first && at < end ? `ms-line-${chosen!.id}` : undefined}
      onKeyDown={press}
      onScroll={(event) => {
        const { scrollTop, clientHeight } = event.currentTarget;
        place.value = { scrolled: scrollTop, height: clientHeight };
        if (scrollTop > row) net.pause(true);
      }}
    >
      {lines.length === 0 && <p class="empty">{t("ms_no_lines")}</p>}
      <div class="all-lines" style={{ height: `${lines.length * row}px` }}>
        {lines.slice(first, end).map((line, index) => (
          <div
            key={line.id}
            id={`ms-line-${line.id}`}
            class={`line ${line.direction}`}
            role="option"
            aria-selected={line.id === chosen?.id}
            style={{ transform: `translateY(${(first + index) * row}px)` }}
            onClick={() => read(line)}
          >
            <time>{timeOf(line.ts, 1)}</time>
            <span class="arrow" aria-hidden="true">
              {ARROWS[line.direction] ?? "?"}
            </span>
            <span class="for-readers">{word("ms_direction", line.direction)} </span>
            <span class="text">{line.text || line.raw}</span>
          </div>
        ))}
      </div>
    </div>
  );
}

/** All of the line that was chosen. */
function Whole({ line }: { line: Line | null }) {
  if (line === null) return null;
  const { ts, direction, addr, text, raw } = line;
  return (
    <dl class="whole">
      <div>
        <dt>{t("time")}</dt>
        <dd>{timeOf(ts, 3)}</dd>
      </div>
      <div>
        <dt>{t("ms_direction")}</dt>
        <dd>
          {word("ms_direction", direction)}
          {addr !== null && `, ${t("ms_address", { addr: String(addr) })}`}
        </dd>
      </div>
      <div>
        <dt>{t("ms_text")}</dt>
        <dd>{text || "–"}</dd>
      </div>
      <div>
        <dt>{t("ms_octets", { count: figure(raw.length / 2) })}</dt>
        <dd>
          <code>{raw.replace(/../g, "$& ").toUpperCase() || "–"}</code>
        </dd>
      </div>
    </dl>
  );
}

/** With a clock of 24 hours. Made once for each language: a log has many lines. */
const clocks = new Map<string, Intl.DateTimeFormat>();

function timeOf(ts: number, fractionalSecondDigits: 1 | 3): string {
  const key = `${locale()} ${fractionalSecondDigits}`;
  let format = clocks.get(key);
  if (format === undefined) {
    const two = "2-digit";
    format = new Intl.DateTimeFormat(locale(), { hour: two, minute: two, second: two, hour12: false, fractionalSecondDigits });
    clocks.set(key, format);
  }
  return format.format(1000 * ts);
}

function saveLines(lines: readonly Line[]): void {
  const name = `${fileName("mesh_traffic", stamp(lines[0]!.ts))}.tsv`;
  save(new Blob([textOf(lines)], { type: "text/tab-separated-values" }), name);
}
