/** Lists of frames that are kept by the listener: sent one after the other, or those with a period cyclically. */

import { signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { bench, tryTo } from "../bench";
import { t } from "../i18n";
import { tell, UNDO_MS } from "../toast";
import { chosen, clientName } from "./buses";
import { get, post, put, remove } from "../rest";
import type { Entry, TransmitList } from "./transmit_list";
import { entryOf, entryText } from "./transmit_list";
import type { Cyclic, Wanted } from "./sending";
import { cyclics, readCyclics, whyNot } from "./sending";

const names = signal<string[] | null>(null);
const shown = signal<TransmitList | null>(null);
/** Which tasks a list has started from here. */
const started = signal<Readonly<Record<string, number[]>>>({});
/** Not shown any more, and not deleted yet. */
const goingAway = signal<ReadonlySet<string>>(new Set());

const pathOf = (name: string) => `/transmit_lists/${encodeURIComponent(name)}`;

async function readNames(): Promise<void> {
  const found = await get<string[]>("/transmit_lists").catch(() => null);
  if (found !== null) names.value = found;
}

async function write(list: TransmitList): Promise<boolean> {
  const { name, ...content } = list;
  const written = await tryTo(put<TransmitList>(pathOf(name), content));
  await readNames();
  if (written) shown.value = written;
  return written !== null;
}

export function TransmitLists() {
  useEffect(() => {
    void readNames();
    if (shown.value) void open(shown.value.name);
  }, []);
  const known = (names.value ?? []).filter((name) => !goingAway.value.has(name));
  const list = shown.value && known.includes(shown.value.name) ? shown.value : null;
  return (
    <div class="lists">
      <h2>{t("wb_lists")}</h2>
      {names.value !== null && !known.length && <p class="hint">{t("wb_no_lists")}</p>}
      {known.length > 0 && (
        <div class="tools" role="group" aria-label={t("wb_lists")}>
          {known.map((name) => (
            <button key={name} type="button" aria-pressed={name === list?.name} onClick={() => void open(name)}>
              {name}
            </button>
          ))}
        </div>
      )}
      {list && <List list={list} />}
    </div>
  );
}

async function open(name: string): Promise<void> {
  const found = await tryTo(get<TransmitList>(pathOf(name)));
  if (found) shown.value = found;
}

function List({ list }: { list: TransmitList }) {
  const { name, frames } = list;
  const mayChange = bench.value.mayChange;
  const cannotSend = whyNot.value !== null;
  const alive = new Set(cyclics.value?.map((task) => task.id) ?? []);
  const running = (started.value[name] ?? []).filter((id) => alive.has(id));
  const cyclic = frames.filter((entry) => entry.period_ms != null);
  const send = async () => {
    const sent = await tryTo(post<{ sent: number }>(`${pathOf(name)}/send`, { bus: chosen.value }));
    if (sent) tell(t("wb_list_sent", { count: sent.sent, bus: chosen.value }));
  };
  const start = async () => {
    const body = { bus: chosen.value, client: clientName };
    const tasks = await tryTo(post<Cyclic[]>(`${pathOf(name)}/start`, body));
    if (tasks) started.value = { ...started.value, [name]: tasks.map((task) => task.id) };
    await readCyclics();
  };
  const stop = async () => {
    for (const id of running) await tryTo(remove(`/cyclic/${id}`));
    await readCyclics();
  };
  return (
    <div class="panel" data-list={name}>
      <table>
        <caption>{name}</caption>
        <tbody>
          {frames.map((entry, index) => (
            <tr key={index}>
              <td class="name">{entry.label || "–"}</td>
              <td class="octets">{entryText(entry)}</td>
              <td class="figure">{entry.period_ms != null ? `${entry.period_ms} ms` : t("wb_once")}</td>
              <td class="actions">
                <button
                  type="button"
                  disabled={!mayChange}
                  title={t("delete")}
                  aria-label={`${t("delete")}, ${entryText(entry)}`}
                  onClick={() => void write({ ...list, frames: frames.filter((_, each) => each !== index) })}
                >
                  ✕
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="tools">
        <button type="button" disabled={cannotSend || !frames.length} onClick={() => void send()}>
          {t("wb_list_send")}
        </button>
        {running.length ? (
          <button type="button" disabled={!mayChange} onClick={() => void stop()}>
            {t("wb_list_stop")}
          </button>
        ) : (
          <button type="button" disabled={cannotSend || !cyclic.length} onClick={() => void start()}>
            {t("wb_list_start", { count: cyclic.length })}
          </button>
        )}
        <button type="button" disabled={!mayChange} onClick={() => deleteSoon(name)}>
          {t("wb_list_delete")}
        </button>
      </div>
    </div>
  );
}

function deleteSoon(name: string): void {
  goingAway.value = new Set([...goingAway.value, name]);
  const stay = () => {
    goingAway.value = new Set([...goingAway.value].filter((each) => each !== name));
  };
  const timer = setTimeout(() => {
    void tryTo(remove(pathOf(name)))
      .then(readNames)
      .then(stay);
  }, UNDO_MS);
  const close = tell(t("wb_list_deleted", { name }), {
    ms: UNDO_MS,
    undo: () => {
      clearTimeout(timer);
      stay();
      close();
    },
  });
}

/** Beside the form: what is in it becomes part of a list, which begins with it if there is none of that name. */
export function IntoList({ wanted, periodMs }: { wanted: Wanted | null; periodMs: number | null }) {
  const name = useSignal(shown.value?.name ?? "");
  const cyclic = useSignal(false);
  const add = async (event: Event) => {
    event.preventDefault();
    const typed = name.value.trim();
    if (wanted === null || !typed) return;
    const entry: Entry = entryOf(wanted, cyclic.value ? periodMs : null);
    const exists = names.value?.includes(typed);
    const before = exists ? await tryTo(get<TransmitList>(pathOf(typed))) : { name: typed, frames: [] };
    if (before && (await write({ ...before, frames: [...before.frames, entry] }))) tell(t("wb_in_list", { name: typed }));
  };
  return (
    <details class="into-list">
      <summary>{t("wb_into_list")}</summary>
      <form class="tools" onSubmit={(event) => void add(event)}>
        <label>
          {t("wb_list_name")}
          <input
            type="text"
            list="can-lists"
            maxLength={64}
            value={name.value}
            onInput={(event) => {
              name.value = event.currentTarget.value;
            }}
          />
        </label>
        <datalist id="can-lists">
          {names.value?.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <label>
          <input
            type="checkbox"
            checked={cyclic.value}
            disabled={periodMs === null}
            onChange={(event) => {
              cyclic.value = event.currentTarget.checked;
            }}
          />
          {t("wb_with_period")}
        </label>
        <button type="submit" disabled={wanted === null || !name.value.trim()}>
          {t("wb_keep")}
        </button>
      </form>
    </details>
  );
}
