/** The stop: always in sight, for everybody, for all robots; and what has become of it. */

import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { parts } from "./commands";
import type { Desk } from "./desk";
import type { Robot } from "./fleet";
import { isNotice } from "./fleet";
import { reasonIn } from "./reasons";

const NAMED_MAX = 3;
/** What does something else with the space bar. */
const HAS_ITS_OWN = "button, a, input:not([type=range]), select, textarea, summary";

export function StopBar({ desk, now }: { desk: Desk; now: number }) {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.repeat) return;
      const space = event.code === "Space" && !(event.target as Element).closest?.(HAS_ITS_OWN);
      if (event.key !== "Escape" && !space) return;
      if (space) event.preventDefault(); // the page would scroll
      desk.stop();
    };
    document.addEventListener("keydown", pressed, { capture: true });
    return () => document.removeEventListener("keydown", pressed, { capture: true });
  }, [desk]);
  const told = outcome(desk, now);
  // With the finger's first touch, not when it is lifted; the click of the same finger is not another one.
  const isDown = useRef(false);
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    isDown.current = true;
    desk.stop();
  };
  const click = () => {
    if (!isDown.current) desk.stop();
  };
  const up = () => void setTimeout(() => (isDown.current = false)); // after the click
  return (
    <div class="stop-bar">
      <button type="button" class="stop" onPointerDown={down} onPointerUp={up} onPointerCancel={up} onPointerLeave={up} onClick={click}>
        <strong>{t("rb_stop")}</strong> <small>
          {t("rb_all")} <span class="with-keys">· {t("rb_stop_keys")}</span>
        </small>
      </button>
      <div role="alert" class="stop-told">
        {told && (
          <p class={told.isBad ? "told bad" : "told warn"} data-stop={told.isBad ? "bad" : "well"}>
            {told.text}
          </p>
        )}
      </div>
    </div>
  );
}

function outcome(desk: Desk, now: number): { text: string; isBad: boolean } | null {
  if (desk.stopAskedAt !== null) {
    const isSent = desk.link.value.state === "open";
    return isSent ? { text: t("rb_stop_sending"), isBad: false } : { text: t("rb_stop_not_sent"), isBad: true };
  }
  const last = desk.commands.last("stop");
  const robots = desk.fleet.ordered();
  if (last?.rejected && now - last.at < 4000) {
    return { text: t("rb_stop_refused", { reason: reasonIn(t, last.rejected) }), isBad: true };
  }
  const failed = last && now - last.at < 4000 ? parts(last).filter(({ state }) => state === "failed" || state === "lost") : [];
  if (failed.length > 0) {
    const reasons = failed.map(({ state, message }) => (message ? reasonIn(t, message) : t(`rb_state_${state}`)));
    return { text: t("rb_stop_refused", { reason: reasons.join("; ") }), isBad: true };
  }
  const halted = robots.filter(({ haltedUntil, status }) => haltedUntil > now && status !== "disconnected");
  const sentences = halted.length > 0 ? [t("rb_stopped")] : [];
  for (const [reason, stopped] of byReason(robots.filter((robot) => isNotice(robot, now)))) {
    const named = stopped.length > NAMED_MAX ? [...stopped.slice(0, NAMED_MAX), "…"] : stopped;
    sentences.push(t("rb_robot_stopped", { robot: named.join(", "), reason: reasonIn(t, reason) }));
  }
  return sentences.length > 0 ? { text: sentences.slice(0, 3).join(" "), isBad: false } : null;
}

function byReason(robots: Robot[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, stopped } of robots) found.set(stopped!.reason, [...(found.get(stopped!.reason) ?? []), id]);
  return found;
}
