/** What is on the bus that is looked at: load, counts, errors, and every identifier with its period. */

import { useSignal } from "@preact/signals";
import { bench, tryTo } from "../bench";
import { number } from "../format";
import { t, word } from "../i18n";
import { Series } from "../series";
import { tell } from "../toast";
import { chosen } from "./buses";
import { SHOWN_S, SmallCurve } from "./curve";
import { useMessages } from "./dbc";
import { idText } from "./frame_form";
import { usePoll } from "../poll";
import { get, post } from "../rest";
import type { DbcMessage } from "./signal_form";
import "./tools.css";

const EVERY_MS = 1000;

interface OfId {
  id: number;
  is_extended: boolean;
  count: number;
  rate: number;
  period_min_ms: number | null;
  period_mean_ms: number | null;
  period_max_ms: number | null;
  cycle_time_ms: number | null;
  missing: boolean;
}

interface OfBus {
  frames: number;
  rate: number;
  load_percent: number | null;
  load_peak_percent: number | null;
  identifiers: number;
  others: number;
  error_frames: number;
  errors: Record<string, number>;
  tx_errors: number | null;
  rx_errors: number | null;
  missing: number;
  ids: OfId[];
}

/** Of each bus, for as long as the page is open; while nobody looks there is a gap. */
const loads = new Map<string, Series>();

function loadsOf(bus: string): Series {
  const known = loads.get(bus) ?? new Series(SHOWN_S + 60, 2, 3.5);
  loads.set(bus, known);
  return known;
}

export function Statistics() {
  const name = chosen.value;
  const shown = useSignal<{ bus: string; found: OfBus } | null>(null);
  const isOld = useSignal(false);
  const messages = useMessages(name);
  const now = usePoll(
    async () => {
      if (!name) return;
      try {
        const found = await get<OfBus>(`/buses/${encodeURIComponent(name)}/statistics`);
        if (found.load_percent !== null) loadsOf(name).push(performance.now() / 1000, found.load_percent);
        shown.value = { bus: name, found };
        isOld.value = false;
      } catch {
        isOld.value = true; // and asked again
      }
    },
    EVERY_MS,
    [name],
  );
  const reset = async () => {
    if (await tryTo(post(`/buses/${encodeURIComponent(name)}/statistics/reset`))) tell(t("wb_counts_begin_anew", { bus: name }));
    now();
  };
  const found = shown.value?.bus === name ? shown.value.found : null;
  return (
    <section class={isOld.value ? "statistics old" : "statistics"} aria-label={t("can_statistics")}>
      {isOld.value && (
        <p class="told bad" role="alert">
          {t("wb_statistics_old")}
        </p>
      )}
      {found === null ? (
        !isOld.value && <p class="empty">{t("loading")}</p>
      ) : (
        <>
          <Totals found={found} />
          {found.load_percent === null ? (
            <p class="hint">{t("wb_no_load")}</p>
          ) : (
            <SmallCurve
              key={name}
              series={loadsOf(name)}
              label={t("wb_load_curve", { load: number(found.load_percent, 1) })}
              least={10}
              floor={0}
            />
          )}
          <div class="tools">
            <button type="button" disabled={!bench.value.mayChange} onClick={() => void reset()}>
              {t("wb_count_anew")}
            </button>
            {!bench.value.mayChange && <span class="hint">{t("wb_read_only")}</span>}
          </div>
          <Errors found={found} />
          <Identifiers ids={found.ids} messages={messages ?? []} others={found.others} />
        </>
      )}
    </section>
  );
}

function Totals({ found }: { found: OfBus }) {
  const { load_percent, load_peak_percent, rate, frames, identifiers, error_frames, missing } = found;
  return (
    <dl class="totals">
      <div data-total="load">
        <dt>{t("wb_load")}</dt>
        <dd>
          {number(load_percent, 1)} <small>%</small>
        </dd>
        {load_peak_percent !== null && <dd class="more">{t("wb_load_peak", { load: number(load_peak_percent, 1) })}</dd>}
      </div>
      <div data-total="rate">
        <dt>{t("wb_rate")}</dt>
        <dd>
          {number(rate)} <small>/s</small>
        </dd>
      </div>
      <div data-total="frames">
        <dt>{t("wb_frame_count")}</dt>
        <dd>{number(frames)}</dd>
      </div>
      <div data-total="identifiers">
        <dt>{t("wb_identifiers")}</dt>
        <dd>{number(identifiers)}</dd>
      </div>
      <div data-total="errors" class={error_frames ? "odd" : ""}>
        <dt>{t("wb_error_frames")}</dt>
        <dd>{number(error_frames)}</dd>
      </div>
      <div data-total="missing" class={missing ? "odd" : ""}>
        <dt>{t("wb_missing_messages")}</dt>
        <dd>{number(missing)}</dd>
      </div>
    </dl>
  );
}

function Errors({ found: { errors, tx_errors, rx_errors } }: { found: OfBus }) {
  const classes = Object.entries(errors);
  if (!classes.length && tx_errors === null) return null;
  return (
    <div class="errors">
      <h2>{t("wb_errors_by_class")}</h2>
      <ul>
        {classes.map(([name, count]) => (
          <li key={name}>
            {word("wb_error", name)}: {number(count)}
          </li>
        ))}
        {tx_errors !== null && <li>{t("wb_error_counters", { tx: tx_errors, rx: rx_errors ?? 0 })}</li>}
      </ul>
    </div>
  );
}

interface TableProps {
  ids: OfId[];
  messages: readonly DbcMessage[];
  others: number;
}

function Identifiers({ ids, messages, others }: TableProps) {
  if (!ids.length) return <p class="empty">{t("wb_nothing_heard")}</p>;
  const names = new Map(messages.map(({ frame_id, is_extended, name }) => [`${frame_id} ${is_extended}`, name]));
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t("wb_identifiers")}>
      <table class="identifiers">
        <caption>{t("wb_periods_caption")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("wb_identifier")}</th>
            <th scope="col">{t("wb_message")}</th>
            <th scope="col" class="figure">
              {t("can_count")}
            </th>
            <th scope="col" class="figure">
              {t("wb_rate")} /s
            </th>
            <th scope="col" class="figure wide">
              {t("wb_period_min")} ms
            </th>
            <th scope="col" class="figure">
              {t("wb_period_mean")} ms
            </th>
            <th scope="col" class="figure wide">
              {t("wb_period_max")} ms
            </th>
            <th scope="col" class="figure">
              {t("wb_cycle")} ms
            </th>
          </tr>
        </thead>
        <tbody>
          {ids.map((each) => (
            <tr key={`${each.id} ${each.is_extended}`} data-id={idText(each.id, each.is_extended)} class={each.missing ? "missing" : ""}>
              <th scope="row" class="octets">
                {idText(each.id, each.is_extended)}
              </th>
              <td class="name">
                {names.get(`${each.id} ${each.is_extended}`) ?? ""}
                {each.missing && <strong class="tag bad">{t("wb_is_missing")}</strong>}
              </td>
              <td class="figure">{number(each.count)}</td>
              <td class="figure">{number(each.rate, 1)}</td>
              <td class="figure wide">{number(each.period_min_ms, 1)}</td>
              <td class="figure">{number(each.period_mean_ms, 1)}</td>
              <td class="figure wide">{number(each.period_max_ms, 1)}</td>
              <td class="figure">{number(each.cycle_time_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {others > 0 && <p class="hint">{t("wb_others", { count: others })}</p>}
    </div>
  );
}
