/** A message of the DBC files: a field for each of its signals, and the octets that they make. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Refusal } from "../connection";
import { t } from "../i18n";
import { exact } from "./figures";
import type { Problem } from "./frame_form";
import { idText, octetsText } from "./frame_form";
import { post } from "../rest";
import type { Wanted } from "./sending";
import type { DbcMessage, DbcSignal, Texts, Values } from "./signal_form";
import { byField, checkSignals, choice, initialTexts, isChoice, selections, shownSignals, textOf } from "./signal_form";
import { Wrong } from "./wrong";

const SETTLE_MS = 200;
const FREE = "free";

interface Props {
  bus: string;
  messages: readonly DbcMessage[] | null;
  changed: (wanted: Wanted | null) => void;
}

/** What was typed stays while one looks at something else; by bus and message. */
const kept = new Map<string, Texts>();
const keptNames = new Map<string, string>();

export function SignalsForm({ bus, messages, changed }: Props) {
  const name = useSignal(keptNames.get(bus) ?? "");
  if (messages === null) return <p class="hint">{t("loading")}</p>;
  if (!messages.length) return <p class="hint">{t("wb_no_dbc")}</p>;
  const message = messages.find((each) => each.name === name.value);
  return (
    <>
      <div class="field">
        <label htmlFor="can-message">{t("wb_message")}</label>
        <select
          id="can-message"
          value={message?.name ?? ""}
          onChange={(event) => {
            name.value = event.currentTarget.value;
            keptNames.set(bus, name.value);
            changed(null);
          }}
        >
          <option value="">{t("wb_choose_message")}</option>
          {messages.map((each) => (
            <option key={each.name} value={each.name}>
              {each.name} · {idText(each.frame_id, each.is_extended)}
            </option>
          ))}
        </select>
      </div>
      {message && <Fields key={message.name} bus={bus} message={message} changed={changed} />}
    </>
  );
}

interface Encoded {
  can_id: number;
  is_extended: boolean;
  data: number[];
}

function Fields({ bus, message, changed }: { bus: string; message: DbcMessage; changed: Props["changed"] }) {
  const place = `${bus} ${message.name}`;
  const texts = useSignal<Texts>({ ...initialTexts(message), ...kept.get(place) });
  const encoded = useSignal<Encoded | null>(null);
  const refused = useSignal<Record<string, string>>({});
  const { values, problems } = checkSignals(message, texts.value);
  const shown = shownSignals(message, texts.value);
  useEffect(() => {
    changed(values && { message: message.name, signals: values });
    refused.value = {};
    if (values === null) {
      encoded.value = null;
      return undefined;
    }
    let left = false;
    const timer = setTimeout(() => void encode(values).then((answer) => left || answer()), SETTLE_MS);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  }, [texts.value, message]);

  // What is not shown any more is not sent.
  useEffect(() => () => changed(null), []);

  async function encode(signals: Values): Promise<() => void> {
    try {
      const answer = await post<Encoded>("/dbc/encode_message", { message_name: message.name, signals, bus });
      return () => {
        encoded.value = answer;
      };
    } catch (error) {
      const reason = error instanceof Refusal ? error.reason : String(error);
      return () => {
        encoded.value = null;
        refused.value = byField(reason, message.signals.map((signal) => signal.name));
        changed(null);
      };
    }
  }

  const change = (signal: string, text: string) => {
    texts.value = { ...texts.value, [signal]: text };
    kept.set(place, texts.value);
  };
  const frame = encoded.value;
  return (
    <form class="fields" onSubmit={(event) => event.preventDefault()}>
      {message.comment && <p class="hint wide-field">{message.comment}</p>}
      {shown.map((signal) => (
        <Field
          key={signal.name}
          signal={signal}
          selects={selections(message, signal)}
          text={texts.value[signal.name] ?? ""}
          problem={problems[signal.name]}
          refused={refused.value[signal.name] ?? ""}
          change={(text) => change(signal.name, text)}
        />
      ))}
      {refused.value[""] && <p class="wrong wide-field">{refused.value[""]}</p>}
      <p class="preview" aria-live="polite" aria-label={t("wb_encoded")}>
        {frame ? `${idText(frame.can_id, frame.is_extended)} [${frame.data.length}] ${octetsText(frame.data)}` : "–"}
      </p>
    </form>
  );
}

interface FieldProps {
  signal: DbcSignal;
  selects: number[];
  text: string;
  problem: Problem | undefined;
  refused: string;
  change: (text: string) => void;
}

function Field({ signal, selects, text, problem, refused, change }: FieldProps) {
  const id = `can-signal-${signal.name}`;
  const options = selects.length ? selects.map((raw) => textOf(signal, raw)) : Object.values(signal.choices ?? {}).map(choice);
  const isFree = !selects.length && !(isChoice(text) && options.includes(text));
  return (
    <div class="field" data-signal={signal.name} title={signal.comment ?? undefined}>
      <label htmlFor={id}>
        {signal.name} {signal.unit && <small>{signal.unit}</small>}
      </label>
      {options.length > 0 && (
        <select
          id={id}
          value={isFree ? FREE : text}
          aria-describedby={`${id}-problem`}
          onChange={(event) => change(event.currentTarget.value === FREE ? "" : event.currentTarget.value)}
        >
          {options.map((option) => (
            <option key={option} value={option}>
              {isChoice(option) ? option.slice(1) : option}
            </option>
          ))}
          {!selects.length && <option value={FREE}>{t("wb_a_number")}</option>}
        </select>
      )}
      {isFree && (
        <input
          type="text"
          inputMode="decimal"
          autocomplete="off"
          id={options.length ? `${id}-number` : id}
          aria-label={options.length ? `${signal.name}, ${t("wb_a_number")}` : undefined}
          value={text}
          aria-invalid={problem !== undefined || refused !== ""}
          aria-describedby={`${id}-range ${id}-problem`}
          onInput={(event) => change(event.currentTarget.value)}
        />
      )}
      <small id={`${id}-range`} class="hint">
        {selects.length ? t("wb_selects") : rangeText(signal)}
      </small>
      {refused ? <span class="wrong">{refused}</span> : <Wrong id={`${id}-problem`} problem={problem} />}
    </div>
  );
}

function rangeText({ minimum, maximum }: DbcSignal): string {
  const bound = (value: number | null) => (value === null ? "" : exact(value));
  return minimum === null && maximum === null ? "" : `${bound(minimum)} … ${bound(maximum)}`;
}
