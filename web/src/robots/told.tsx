/** What has become of the last command of each kind: as far as it was told, and no further. */

import { t } from "../i18n";
import { figure } from "../i18n";
import type { Command, Part, State } from "./commands";
import { parts, tookMs } from "./commands";
import type { Desk } from "./desk";
import { KINDS } from "./protocol";
import { reasonIn } from "./reasons";

const SIGNS: Record<State, string> = {
  sent: "…",
  received: "→",
  delivered: "⇥",
  executed: "✓",
  failed: "✖",
  expired: "✖",
  rejected: "✖",
  lost: "?",
};
const SHOWN = [...KINDS, "stop"] as const;

export function Told({ desk, now }: { desk: Desk; now: number }) {
  const { roundTripMs } = desk.commands;
  return (
    <section class="told-commands">
      <h2>{t("rb_commands")}</h2>
      <dl>
        {SHOWN.map((kind) => {
          const command = desk.commands.shown(kind, now);
          return (
            <div key={kind} data-command={kind}>
              <dt>{t(kind === "stop" ? "rb_stop_word" : `rb_${kind}`)}</dt>
              <dd>{command === null ? <span class="hint">{t("rb_none_yet")}</span> : become(command)}</dd>
            </div>
          );
        })}
      </dl>
      <p class="hint latency">{t("rb_latency", { ms: roundTripMs === null ? "–" : ms(roundTripMs) })}</p>
    </section>
  );
}

function become(command: Command) {
  const found = parts(command);
  const took = tookMs(command);
  const all = found.reduce((sum, { robots }) => sum + robots.length, 0);
  const what = whatOf(command);
  return (
    <>
      {what && <span class="what">{what} </span>}
      {found.map((part) => (
        <span key={`${part.state} ${part.message}`} class={`became ${part.state}`} data-state={part.state}>
          <span aria-hidden="true">{SIGNS[part.state]}</span> {inWords(part, all, found.length > 1)}
        </span>
      ))}
      {took !== null && <span class="hint"> {ms(took)}</span>}
    </>
  );
}

/** Several robots that have not come equally far are named. */
function inWords({ state, robots, message }: Part, all: number, differs: boolean): string {
  const word = t(`rb_state_${state}`);
  const counted = all > 1 ? t("rb_count", { count: robots.length, all, state: word }) : word;
  const named = differs && robots.length <= 3 ? `${counted} (${robots.join(", ")})` : counted;
  return message ? `${named}: ${reasonIn(t, message)}` : named;
}

export function whatOf({ values }: Command): string {
  if (typeof values.x === "number") return t("rb_xy", { x: figure(values.x, 2), y: figure(values.y as number, 2) });
  return typeof values.value === "number" ? t("rb_percent", { value: values.value }) : "";
}

function ms(value: number): string {
  return t("rb_ms", { ms: value < 10 ? figure(value, 1) : figure(value) });
}
