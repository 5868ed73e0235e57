/** What is connected: the serial line, programs, this page. In words and a sign, and in a colour besides. */

import type { ComponentChildren } from "preact";
import { figure, t, word } from "../i18n";
import type { Net } from "./net";

type Light = "good" | "warn" | "bad" | "off";

const SIGNS: Record<Light, string> = { good: "●", warn: "▲", bad: "✖", off: "○" };
const UART: Record<string, Light> = { connected: "good", searching: "warn", silent: "warn", disconnected: "bad" };

export function Lamps({ net }: { net: Net }) {
  const about = net.about.value;
  const link = net.link.value.state;
  // Who hears nothing of the listener knows nothing of what it is connected to.
  const uart = link === "open" ? about?.uart : undefined;
  const listeners = link === "open" && about ? about.listeners : null;
  const baud = uart?.baudrate ? t("ms_baud", { baud: figure(uart.baudrate) }) : "";
  return (
    <ul class="lamps" aria-label={t("ms_lamps")}>
      <Lamp name="uart" what={t("ms_serial_line")} light={UART[uart?.state ?? ""] ?? "off"}>
        {uart ? word("ms_uart", uart.state) : t("ms_unknown")}
        {uart?.device && <small>{[uart.device, baud].filter(Boolean).join(", ")}</small>}
      </Lamp>
      <Lamp name="programs" what={t("ms_programs")} light={listeners ? "good" : "off"}>
        {listeners === null ? t("ms_unknown") : listeners === 0 ? t("ms_nobody_listens") : t("ms_listening", { count: listeners })}
      </Lamp>
      <Lamp name="page" what={t("ms_this_page")} light={link === "open" ? "good" : link === "connecting" ? "warn" : "bad"}>
        {t(link === "open" ? "ms_live" : link === "connecting" ? "ms_connecting" : "ms_not_connected")}
      </Lamp>
      {uart?.counts && <Counts counts={{ ...uart.counts, broken_data: about?.messages?.broken_data ?? 0 }} />}
    </ul>
  );
}

function Lamp({ name, what, light, children }: { name: string; what: string; light: Light; children: ComponentChildren }) {
  return (
    <li class={`lamp ${light}`} data-lamp={name} data-light={light}>
      <span class="sign" aria-hidden="true">
        {SIGNS[light]}
      </span>{" "}
      <span>
        <span class="what">{what}: </span>
        <strong>{children}</strong>
      </span>
    </li>
  );
}

/** Of the serial line, for who looks for a bad plug. */
function Counts({ counts }: { counts: Record<string, number> }) {
  return (
    <li class="counts">
      <details>
        <summary>{t("ms_counts")}</summary>
        <dl>
          {Object.entries(counts).map(([name, count]) => (
            <div key={name} data-count={name}>
              <dt>{word("ms_count", name)}</dt>
              <dd>{figure(count)}</dd>
            </div>
          ))}
        </dl>
      </details>
    </li>
  );
}
