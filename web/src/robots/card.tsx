/** One robot: whether it is there, who operates it, what it says of itself, and how that was in the last minutes. */

import { useMemo } from "preact/hooks";
import { api } from "../bench";
import { linkTo } from "../rest";
import { age, withUnit } from "../format";
import { t, word } from "../i18n";
import type { Desk } from "./desk";
import type { Robot } from "./fleet";
import { ageS, nameOf } from "./fleet";
import { SHOWN_S, rangeOf } from "./history";
import { titleOf } from "./operator";
import type { Quantity } from "./protocol";
import { QUANTITIES } from "./protocol";

const SIGNS: Record<string, string> = { connected: "●", disconnected: "✖", stale: "▲" };
const UNITS: Record<Quantity, string> = { battery: "%", cpu: "%", temperature: "°C", signal: "%" };
const WRONG: Partial<Record<Quantity, string>> = { battery: "low_battery", temperature: "hot", signal: "weak_signal" };
const WHOLE_WIDTH = SHOWN_S;

export function Card({ desk, robot, serverNow }: { desk: Desk; robot: Robot; serverNow: number }) {
  const isChosen = desk.target.value?.device_id === robot.id;
  const isOld = robot.status !== "connected";
  const old = ageS(robot, serverNow);
  const operator =
    robot.operator === null
      ? ""
      : t(robot.operator.id === desk.fleet.me ? "rb_you_operate" : "rb_other_operates", { name: nameOf(robot) });
  return (
    <li class={isOld ? `robot old ${robot.status}` : "robot"} data-robot={robot.id}>
      <header>
        <h3>{titleOf(robot)}</h3>
        <span class={`status ${robot.status}`} data-status={robot.status}>
          <span aria-hidden="true">{SIGNS[robot.status] ?? "?"}</span> {word("rb_status", robot.status)}
        </span>
        <button type="button" aria-pressed={isChosen} onClick={() => desk.choose({ device_id: robot.id })}>
          {t(isChosen ? "rb_chosen" : "rb_choose")}
          <span class="for-readers">: {robot.id}</span>
        </button>
      </header>
      <p class="notes">
        {[...robot.wrong].sort().map((wrong) => (
          <strong key={wrong} class="wrong" data-wrong={wrong}>
            <span aria-hidden="true">▲</span> {word("rb_wrong", wrong)}
          </strong>
        ))}
        {operator && <span>{operator}</span>}
        {robot.said && <span>{t("rb_says", { status: [robot.said.status, robot.said.message].filter(Boolean).join(", ") })}</span>}
        {robot.confirms === false && robot.status !== "disconnected" && <span class="hint">{t("rb_confirms_not")}</span>}
      </p>
      <dl>
        {QUANTITIES.map((quantity) => (
          <Figure key={quantity} robot={robot} quantity={quantity} serverNow={serverNow} />
        ))}
      </dl>
      <p class="hint">
        {old === null ? t("rb_never") : t("rb_seen", { age: age(old) })}
        {api.value !== "" && (
          <>
            {" · "}
            <a href={linkTo(`/robots/${encodeURIComponent(robot.id)}/telemetry.csv`)} download>
              {t("rb_csv")}
              <span class="for-readers">: {robot.id}</span>
            </a>
          </>
        )}
      </p>
    </li>
  );
}

function Figure({ robot, quantity, serverNow }: { robot: Robot; quantity: Quantity; serverNow: number }) {
  const value = robot.values[quantity];
  const wrong = WRONG[quantity];
  const isWrong = wrong !== undefined && robot.wrong.has(wrong);
  const second = Math.floor(serverNow);
  const { path, extent } = useMemo(() => {
    const found = robot.history.extent(quantity, serverNow);
    return { path: robot.history.path(quantity, serverNow, rangeOf(quantity, found)), extent: found };
  }, [robot.history, quantity, second, robot.valuesTs]);
  const what = t(`rb_${quantity}`);
  const unit = UNITS[quantity];
  const label =
    extent === null
      ? t("rb_no_values", { what })
      : t("rb_last_minutes", {
          what,
          minutes: SHOWN_S / 60,
          low: withUnit(extent[0], unit),
          high: withUnit(extent[1], unit),
        });
  return (
    <div class={isWrong ? "value is-wrong" : "value"} data-quantity={quantity}>
      <dt>{what}</dt>
      <dd>
        {withUnit(value, unit)}
        <svg class="spark" role="img" aria-label={label} viewBox={`0 0 ${WHOLE_WIDTH} 100`} preserveAspectRatio="none">
          <path d={path} />
        </svg>
      </dd>
    </div>
  );
}
