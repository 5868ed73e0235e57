/** The section *Arrays*: what is kept, with all that can be done with it. */

import { useSignal } from "@preact/signals";
import { api, epoch, mayChange } from "../bench";
import { dateTime } from "../format";
import { t } from "../i18n";
import { usePoll } from "../poll";
import { linkTo } from "../rest";
import type { Entry } from "./library";
import { deleteSoon, goingAway, list, listUnknown, readList, rename, sizeOf } from "./library";
import { Look } from "./look_view";
import { fieldsOf, isPlain } from "./look";
import { choose } from "./terms";
import { Uploads } from "./uploads";

const LIST_MS = 10_000;

export function List() {
  usePoll(readList, LIST_MS, [api.value, epoch.value]);
  const shown = (list.value?.arrays ?? []).filter(({ index }) => !goingAway.value.has(index));
  return (
    <section class="library">
      <Uploads />
      {listUnknown.value && (
        <p class="told bad" role="alert">
          {t("ar_list_unknown")}
        </p>
      )}
      {list.value === null && !listUnknown.value && <p class="hint">{t("loading")}</p>}
      {list.value !== null && shown.length === 0 && <p class="empty">{t("ar_none")}</p>}
      <ul class="arrays-list">
        {[...shown].reverse().map((entry) => (
          <One key={entry.index} entry={entry} />
        ))}
      </ul>
    </section>
  );
}

function One({ entry }: { entry: Entry }) {
  const { index, name, shape, dtype, octets, uploaded_ts } = entry;
  const looking = useSignal(false);
  const naming = useSignal(false);
  const called = name || t("ar_nameless");
  return (
    <li data-array={index}>
      <div class="what">
        <span class="number">{index}</span>
        {naming.value ? (
          <Rename entry={entry} close={() => (naming.value = false)} />
        ) : (
          <strong>{called}</strong>
        )}
        <span class="facts">
          <code class="shape" title={t("ar_shape")}>
            {shape.length ? shape.join(" × ") : t("ar_one_value")}
          </code>{" "}
          <code class="dtype" title={dtype}>
            {dtypeText(dtype)}
          </code>{" "}
          <small class="hint">
            {sizeOf(octets)} · {dateTime(uploaded_ts)}
          </small>
        </span>
      </div>
      <div class="does">
        <button
          type="button"
          aria-expanded={looking.value}
          aria-label={`${t("ar_look")}: ${called}`}
          onClick={() => {
            looking.value = !looking.value;
          }}
        >
          {t("ar_look")}
        </button>
        {isPlayed(entry) && (
          <a class="button" href="#/signals/live" aria-label={`${t("ar_play")}: ${called}`} onClick={() => choose({ source: `array:${index}` })}>
            {t("ar_play")}
          </a>
        )}
        <a class="button" href={linkTo(`/array/${index}`, { format: "npy" })} download="" aria-label={`${t("ar_download")} .npy: ${called}`}>
          .npy
        </a>
        {isTable(entry) && (
          <a class="button" href={linkTo(`/array/${index}`, { format: "csv" })} download="" aria-label={`${t("ar_download")} .csv: ${called}`}>
            .csv
          </a>
        )}
        <button type="button" disabled={!mayChange.value || naming.value} aria-label={`${t("ar_rename")}: ${called}`} onClick={() => (naming.value = true)}>
          {t("ar_rename")}
        </button>
        <button type="button" disabled={!mayChange.value} aria-label={`${t("delete")}: ${called}`} onClick={() => deleteSoon(entry)}>
          {t("delete")}
        </button>
      </div>
      {looking.value && <Look entry={entry} />}
    </li>
  );
}

function Rename({ entry: { index, name }, close }: { entry: Entry; close: () => void }) {
  const typed = useSignal(name);
  const enter = async (event: Event) => {
    event.preventDefault();
    if (typed.value.trim() === name || (await rename(index, typed.value.trim()))) close();
  };
  return (
    <form class="rename" onSubmit={(event) => void enter(event)}>
      <input
        aria-label={t("ar_name")}
        maxLength={200}
        value={typed.value}
        ref={(element) => element?.focus()}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") close();
        }}
      />
      <button type="submit">{t("save")}</button>
      <button type="button" onClick={close}>
        {t("ar_cancel")}
      </button>
    </form>
  );
}

/** As `/ws/stream` does: one row of numbers, or two columns. */
function isPlayed({ shape, dtype }: Entry): boolean {
  const [, wide] = shape;
  return (isPlain(dtype) || dtype === "bool") && (shape.length === 1 || (shape.length === 2 && wide === 2));
}

function isTable({ shape, dtype }: Entry): boolean {
  return dtype.startsWith("[") || dtype.startsWith("{") ? shape.length === 1 : shape.length <= 2;
}

/** The fields of a record rather than how they lie in memory. */
export function dtypeText(dtype: string): string {
  const fields = fieldsOf(dtype);
  return fields.length ? `(${fields.join(", ")})` : dtype;
}
