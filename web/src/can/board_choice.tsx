/** Choosing what is on the board: one signal, or a group of them by a pattern. */

import { useSignal } from "@preact/signals";
import { t } from "../i18n";
import type { Item, View } from "./board";
import { matches, patternsIn, search } from "./board";
import type { DbcMessage } from "./signal_form";

const SHOWN_MAX = 40;
const PATTERNS_MAX = 8;

interface Props {
  bus: string;
  /** Null: they are being read. */
  messages: readonly DbcMessage[] | null;
  isEmpty: boolean;
  add: (item: Item) => void;
}

export function Choice({ bus, messages, isEmpty, add }: Props) {
  const text = useSignal("");
  const open = useSignal(isEmpty);
  const all = messages ?? [];
  const typed = text.value.trim();
  const found = search(all, typed);
  const isPattern = /[*?]/.test(typed);
  const members = isPattern ? all.flatMap((message) => message.signals).filter(({ name }) => matches(typed, name)).length : 0;
  const put = (view: View, message: string, signal: string) => add({ bus, view, message, signal, low: null, high: null });
  return (
    <details
      class="panel choice"
      open={open.value}
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>{t("wb_add_signals")}</summary>
      {messages === null && <p class="hint">{t("loading")}</p>}
      {messages !== null && !all.length && <p class="hint">{t("wb_no_dbc")}</p>}
      {all.length > 0 && (
        <>
          <div class="tools">
            <input
              type="search"
              aria-label={t("wb_search_signals")}
              placeholder={t("wb_search_signals")}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
            />
            {members > 0 && (
              <button type="button" onClick={() => put("group", "", typed)}>
                {t("wb_add_group", { pattern: typed, count: members })}
              </button>
            )}
          </div>
          {!typed && (
            <div class="tools">
              {patternsIn(all)
                .slice(0, PATTERNS_MAX)
                .map(({ pattern, count }) => (
                  <button key={pattern} type="button" onClick={() => put("group", "", pattern)}>
                    {t("wb_add_group", { pattern, count })}
                  </button>
                ))}
            </div>
          )}
          <p class="hint">{t("wb_patterns")}</p>
          <ul class="found">
            {found.slice(0, SHOWN_MAX).map(({ message, signal }) => (
              <li key={`${message.name} ${signal.name}`} data-found={signal.name}>
                <span class="name">
                  {signal.name} <small class="faint">{[message.name, signal.unit].filter(Boolean).join(", ")}</small>
                </span>
                <button type="button" aria-label={`${t("wb_gauge")}, ${signal.name}`} onClick={() => put("gauge", message.name, signal.name)}>
                  + {t("wb_gauge")}
                </button>
                <button type="button" aria-label={`${t("wb_curve")}, ${signal.name}`} onClick={() => put("curve", message.name, signal.name)}>
                  + {t("wb_curve")}
                </button>
              </li>
            ))}
          </ul>
          {found.length > SHOWN_MAX && <p class="hint">{t("wb_more_found", { count: found.length - SHOWN_MAX })}</p>}
          {!found.length && <p class="hint">{t("wb_none_found")}</p>}
        </>
      )}
    </details>
  );
}
