/** The section *Frames*: the newest frame of every identifier of a bus. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { age } from "../format";
import { figure, t } from "../i18n";
import { valueText } from "./frames";
import type { Shown, ShownSignal } from "./frames";
import type { Cell } from "./live_frames";
import { LiveFrames } from "./live_frames";

/** As the style sheet has it. */
const narrow = window.matchMedia("(max-width: 620px)");
const columns = signal(columnsShown());
narrow.addEventListener("change", () => {
  columns.value = columnsShown();
});

function columnsShown(): number {
  return narrow.matches ? 2 : 5;
}

export function Frames() {
  const [live, setLive] = useState<LiveFrames | null>(null);
  useEffect(() => {
    const made = new LiveFrames();
    setLive(made);
    return () => made.close();
  }, []);
  return live && <Table live={live} />;
}

function Table({ live }: { live: LiveFrames }) {
  const cells = live.cells.value;
  return (
    <section class="frames">
      <div class="tools">
        <input
          type="search"
          class="filter"
          aria-label={t("can_filter")}
          placeholder={t("can_filter")}
          value={live.filter.value}
          onInput={(event) => {
            live.filter.value = event.currentTarget.value;
          }}
        />
        <button type="button" aria-pressed={live.paused.value} onClick={() => live.pause()}>
          {t("can_pause")}
        </button>
        <button type="button" aria-pressed={live.allUnfolded.value} onClick={() => live.unfoldAll()}>
          {t("can_all_signals")}
        </button>
        <button type="button" onClick={() => live.clear()}>
          {t("can_anew")}
        </button>
        <span class="hint">{t("can_ids_shown", { shown: cells.length, total: live.total.value })}</span>
      </div>
      <Told live={live} />
      {cells.length > 0 ? (
        <table class="frame-table">
          <thead>
            <tr>
              <th class="id">{t("can_id")}</th>
              <th class="wide figure period">{t("can_period")}</th>
              <th class="wide figure count">{t("can_count")}</th>
              <th class="wide figure length">{t("can_length")}</th>
              <th>{t("can_data")}</th>
            </tr>
          </thead>
          <tbody>
            {cells.map((cell) => (
              <FrameRow key={cell.row.key} cell={cell} live={live} />
            ))}
          </tbody>
        </table>
      ) : (
        <p class="empty">{t(live.total.value > 0 ? "can_none_fits" : "can_no_frames")}</p>
      )}
    </section>
  );
}

/** Whatever keeps the table from being all that is on the bus, and now. */
function Told({ live }: { live: LiveFrames }) {
  const link = live.stream.link.value;
  return (
    <div role="status">
      {link.state !== "open" && link.state !== "connecting" && <p class="told bad">{t("can_no_stream", { reason: link.reason })}</p>}
      {live.paused.value && <p class="told warn">{t("can_paused", { count: live.since.value })}</p>}
      {live.skipped.value > 0 && <p class="told warn">{t("can_skipped", { count: live.skipped.value })}</p>}
      {live.without.value > 0 && <p class="told warn">{t("can_without", { count: live.without.value })}</p>}
    </div>
  );
}

function FrameRow({ cell: { row, shown }, live }: { cell: Cell; live: LiveFrames }) {
  const now = shown.value;
  const isUnfolded = live.isUnfolded(row.key);
  const isDecoded = now.signals.length > 0 || now.error !== "";
  return (
    <>
      <tr ref={live.watch} data-id={row.key} class={now.oldS === null ? "" : "old"}>
        <th scope="row">
          {isDecoded ? (
            <button type="button" class="fold" aria-expanded={isUnfolded} onClick={() => live.unfold(row.key)}>
              <span aria-hidden="true">{isUnfolded ? "▾" : "▸"}</span>
              <code>{row.label}</code>
            </button>
          ) : (
            <code>{row.label}</code>
          )}
          <span class="name">{now.name}</span>
          <Tags shown={now} extended={row.extended} />
        </th>
        <td class="wide figure">{now.periodMs === null ? "–" : `${figure(now.periodMs, now.periodMs < 100 ? 1 : 0)} ms`}</td>
        <td class="wide figure">{now.count === null ? "–" : figure(now.count)}</td>
        <td class="wide figure">{now.octets.length}</td>
        <td class="data">
          {now.octets.map(({ text, changed, turn }, place) => (
            <code key={place} class={changed ? `octet changed turn-${turn}` : "octet"}>
              {text}
            </code>
          ))}
        </td>
      </tr>
      {isDecoded && isUnfolded && (
        <tr class={now.oldS === null ? "signals" : "signals old"}>
          <td colSpan={columns.value}>
            {now.error && <p class="odd">{t("can_undecoded", { error: now.error })}</p>}
            <dl>
              {now.signals.map((each) => (
                <Value key={each.name} {...each} oldS={now.oldS === null ? each.oldS : null} />
              ))}
            </dl>
          </td>
        </tr>
      )}
    </>
  );
}

function Tags({ shown, extended }: { shown: Shown; extended: boolean }) {
  return (
    <>
      {extended && <small class="kind">{t("can_extended")}</small>}
      {shown.fd && <small class="kind">FD</small>}
      {shown.remote && <small class="kind">{t("can_remote")}</small>}
      {shown.missing && <small class="kind odd">▲ {t("can_missing")}</small>}
      {shown.oldS !== null && <small class="age">{t("can_old", { age: age(shown.oldS) })}</small>}
    </>
  );
}

function Value({ name, signal, oldS }: ShownSignal) {
  return (
    <div data-signal={name} class={oldS === null ? "" : "old"}>
      <dt>{name}</dt>
      <dd>
        {valueText(signal, figure)} <small>{signal.unit}</small>
        {oldS !== null && <small class="age"> {t("can_old", { age: age(oldS) })}</small>}
      </dd>
    </div>
  );
}
