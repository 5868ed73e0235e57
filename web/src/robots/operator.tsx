/** Who is steered, and who may: one, a group or all; nobody, this dashboard, or somebody else by name. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import type { Desk } from "./desk";
import { NAME_MAX } from "./desk";
import type { Robot } from "./fleet";
import { isTheirs, nameOf } from "./fleet";
import type { Target } from "./protocol";

const ALL = "all";

export function Chooser({ desk }: { desk: Desk }) {
  desk.changes.value;
  const target = desk.target.value;
  const robots = desk.fleet.ordered();
  const groups = desk.fleet.groups();
  const isGone = target?.device_id !== undefined && !desk.fleet.robots.has(target.device_id);
  return (
    <label class="whom">
      <span>{t("rb_steer")}</span>
      <select
        value={target === null ? "" : valueOf(target)}
        disabled={robots.length === 0}
        onChange={(event) => desk.choose(targetOf(event.currentTarget.value))}
      >
        {target === null && <option value="">–</option>}
        <option value={ALL}>{t("rb_all")}</option>
        {groups.length > 0 && (
          <optgroup label={t("rb_groups")}>
            {groups.map((group) => (
              <option key={group} value={`group ${group}`}>
                {t("rb_group", { group })}
              </option>
            ))}
          </optgroup>
        )}
        <optgroup label={t("rb_single")}>
          {isGone && <option value={valueOf(target)}>{target.device_id}</option>}
          {robots.map((robot) => (
            <option key={robot.id} value={valueOf({ device_id: robot.id })}>
              {titleOf(robot)}
            </option>
          ))}
        </optgroup>
      </select>
    </label>
  );
}

export function titleOf({ id, name }: Robot): string {
  return name === id ? id : `${name} (${id})`;
}

/** The target in words. */
export function inWords(target: Target | null): string {
  if (target?.group !== undefined) return t("rb_group", { group: target.group });
  return target?.device_id ?? t("rb_all");
}

function valueOf({ device_id, group }: Target): string {
  if (device_id !== undefined) return `robot ${device_id}`;
  return group === undefined ? ALL : `group ${group}`;
}

function targetOf(value: string): Target {
  const [kind, ...rest] = value.split(" ");
  const name = rest.join(" ");
  if (kind === "robot") return { device_id: name };
  return kind === "group" ? { group: name } : {};
}

export function Operator({ desk }: { desk: Desk }) {
  const asks = useSignal(false);
  desk.changes.value;
  const { fleet } = desk;
  const target = desk.target.value;
  const robots = target === null ? [] : fleet.members(target).filter(({ status }) => status !== "disconnected");
  const others = robots.filter((robot) => isTheirs(robot, fleet.me));
  const yours = robots.filter(({ operator }) => operator !== null && operator.id === fleet.me);
  const free = robots.length - others.length - yours.length;
  const may = fleet.mayCommand && desk.link.value.state === "open";
  const names = [...new Set(others.map(nameOf))].join(", ");
  if (others.length === 0 && asks.value) asks.value = false;
  return (
    <div class="operator" data-operator={others.length > 0 ? "other" : yours.length > 0 ? "you" : "nobody"}>
      {robots.length > 0 && <span role="status">{sentence(robots, yours.length, free, others.length, names)}</span>}
      {may && others.length > 0 && !asks.value && (
        <button type="button" onClick={() => (asks.value = true)}>
          {t("rb_take_force")}
        </button>
      )}
      {may && free > 0 && others.length === 0 && (
        <button type="button" onClick={() => desk.take(false)}>
          {t("rb_take")}
        </button>
      )}
      {may && yours.length > 0 && (
        <button type="button" onClick={() => desk.give()}>
          {t("rb_release")}
        </button>
      )}
      {asks.value && (
        <Question
          names={names}
          yes={() => {
            asks.value = false;
            desk.take(true);
          }}
          no={() => (asks.value = false)}
        />
      )}
    </div>
  );
}

function sentence(robots: Robot[], yours: number, free: number, others: number, names: string): string {
  if (yours === robots.length) return t("rb_you_operate");
  if (free === robots.length) return t("rb_nobody_operates");
  if (others === robots.length && !names.includes(", ")) return t("rb_other_operates", { name: names });
  return t("rb_operators", { yours, free, others, names: names || "–" });
}

function Question({ names, yes, no }: { names: string; yes: () => void; no: () => void }) {
  const cancel = useRef<HTMLButtonElement>(null);
  useEffect(() => cancel.current?.focus(), []);
  return (
    <div
      class="question"
      role="alertdialog"
      aria-label={t("rb_take_force")}
      aria-describedby="force-question"
      onKeyDown={(event) => event.key === "Escape" && no()}
    >
      <p id="force-question">{t("rb_force_question", { name: names })}</p>
      <button type="button" class="danger" onClick={yes}>
        {t("rb_force_yes")}
      </button>
      <button type="button" ref={cancel} onClick={no}>
        {t("rb_cancel")}
      </button>
    </div>
  );
}

export function Name({ desk }: { desk: Desk }) {
  return (
    <label class="name">
      <span>{t("rb_name")}</span>
      <input
        type="text"
        maxLength={NAME_MAX}
        autocomplete="off"
        placeholder={t("rb_anonymous")}
        value={desk.name.value}
        onChange={(event) => desk.rename(event.currentTarget.value)}
      />
    </label>
  );
}
