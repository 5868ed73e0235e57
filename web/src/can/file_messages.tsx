/** What is in a database file: its messages, and of each the signals. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { tryTo } from "../bench";
import { figure, t } from "../i18n";
import { digitsOf, labelOf } from "./frames";
import { get } from "../rest";
import type { DbcMessage, DbcSignal } from "./signal_form";

type InFile = DbcMessage & { file: string };

export function FileMessages({ file, bus }: { file: string; bus: string }) {
  const open = useSignal(false);
  return (
    <details
      class="in-file"
      onToggle={(event) => {
        open.value = event.currentTarget.open;
      }}
    >
      <summary>{t("can_look_into")}</summary>
      {open.value && <Messages file={file} bus={bus} />}
    </details>
  );
}

function Messages({ file, bus }: { file: string; bus: string }) {
  const messages = useSignal<InFile[] | null>(null);
  useEffect(() => {
    void tryTo(get<{ messages: InFile[] }>("/dbc/messages", { bus })).then((found) => {
      if (found !== null) messages.value = sorted(found.messages.filter((each) => each.file === file));
    });
  }, [file, bus]);
  if (messages.value === null) return <p class="hint">{t("loading")}</p>;
  return (
    <ul>
      {messages.value.map((message) => (
        <Message key={message.name} message={message} />
      ))}
    </ul>
  );
}

function sorted(messages: InFile[]): InFile[] {
  return messages.sort((one, other) => one.frame_id - other.frame_id);
}

function Message({ message }: { message: InFile }) {
  const open = useSignal(false);
  const { name, frame_id, is_extended, length, cycle_time_ms, comment, signals } = message;
  const every = cycle_time_ms ? t("can_every_ms", { ms: cycle_time_ms }) : "";
  return (
    <li>
      <details
        onToggle={(event) => {
          open.value = event.currentTarget.open;
        }}
      >
        <summary>
          <code>{labelOf(frame_id, is_extended)}</code> <strong>{name}</strong>{" "}
          <small class="hint">
            {[t("can_octets", { count: length }), t("can_signals", { count: signals.length }), every].filter(Boolean).join(" · ")}
          </small>
        </summary>
        {comment && <p class="hint">{comment}</p>}
        {open.value && (
          <dl>
            {signals.map((signal) => (
              <div key={signal.name}>
                <dt>{signal.name}</dt>
                <dd>{about(signal)}</dd>
              </div>
            ))}
          </dl>
        )}
      </details>
    </li>
  );
}

/** Range with unit, choices, when it is there, what the file says of it. */
function about(signal: DbcSignal): string {
  const { minimum, maximum, unit, choices, multiplexer_signal, multiplexer_ids, comment } = signal;
  const digits = digitsOf(signal);
  const edge = (value: number | null) => (value === null ? "" : figure(value, digits));
  const range = minimum === null && maximum === null ? (unit ?? "") : `${edge(minimum)} … ${edge(maximum)} ${unit ?? ""}`;
  const texts = Object.entries(choices ?? {}).map(([raw, text]) => `${raw} = ${text}`);
  const when = multiplexer_signal && multiplexer_ids ? `${multiplexer_signal} = ${multiplexer_ids.join(", ")}` : "";
  return [range.trim(), texts.join(", "), when, comment ?? ""].filter(Boolean).join(" · ");
}
