/** The cards of the board. What is outside its limits or old is said in words, and has a colour besides. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { age, number } from "../format";
import { t } from "../i18n";
import type { Item, Limits, Member, Watched } from "./board";
import { digitsOf, groupOf, keyOfWatched, limitsOf, memberOf, shareOf } from "./board";
import { curveOf, readings } from "./board_state";
import { SmallCurve } from "./curve";
import { exact } from "./figures";
import { parseNumber } from "./frame_form";

type Change = (changed: Item | null) => void;

interface FrameProps {
  item: Item;
  title: string;
  more: string;
  state: string;
  change: Change;
  children: ComponentChildren;
}

function Frame({ item, title, more, state, change, children }: FrameProps) {
  return (
    <article class={`card ${state} ${item.view}`} data-card={item.signal} aria-label={title}>
      <header>
        <h2>
          {title} <small class="faint">{more}</small>
        </h2>
        <button type="button" class="plain" title={t("wb_remove")} aria-label={`${t("wb_remove")}, ${title}`} onClick={() => change(null)}>
          ✕
        </button>
      </header>
      {children}
      <Limiting item={item} change={change} />
    </article>
  );
}

/** Own limits; an empty field is the file's. */
function Limiting({ item, change }: { item: Item; change: Change }) {
  const [texts, setTexts] = useState({ low: textOf(item.low), high: textOf(item.high) });
  const isWrong = (text: string) => text.trim() !== "" && parseNumber(text) === null;
  const type = (end: "low" | "high", text: string) => {
    setTexts({ ...texts, [end]: text });
    if (!isWrong(text)) change({ ...item, [end]: parseNumber(text) });
  };
  const ends = ["low", "high"] as const;
  return (
    <details class="limiting">
      <summary>{t("wb_limits")}</summary>
      <div class="tools">
        {ends.map((end) => (
          <label key={end}>
            {t(end === "low" ? "wb_low" : "wb_high")}
            <input
              type="text"
              inputMode="decimal"
              class="short"
              placeholder="DBC"
              value={texts[end]}
              aria-invalid={isWrong(texts[end])}
              onInput={(event) => type(end, event.currentTarget.value)}
            />
          </label>
        ))}
        {item.view !== "group" && (
          <button type="button" onClick={() => change({ ...item, view: item.view === "gauge" ? "curve" : "gauge" })}>
            {t(item.view === "gauge" ? "wb_as_curve" : "wb_as_gauge")}
          </button>
        )}
        {ends.some((end) => isWrong(texts[end])) && <span class="wrong">{t("wb_signal_no_number")}</span>}
      </div>
    </details>
  );
}

const textOf = (limit: number | null) => (limit === null ? "" : String(limit));

export function UnknownCard({ item, isKnown, change }: { item: Item; isKnown: boolean; change: Change }) {
  const { bus, message, signal } = item;
  return (
    <Frame item={item} title={signal} more={[bus, message].filter(Boolean).join(", ")} state="old" change={change}>
      <p class="hint">{isKnown ? t("wb_not_in_dbc", { bus }) : t("loading")}</p>
    </Frame>
  );
}

interface OneProps {
  item: Item;
  watched: Watched;
  now: number;
  change: Change;
}

export function GaugeCard({ item, watched, now, change }: OneProps) {
  const member = memberOf(item, watched, readings, now);
  const limits = limitsOf(item, watched);
  return (
    <Frame item={item} title={watched.signal.name} more={about(item, watched)} state={stateOf(member)} change={change}>
      <BigValue member={member} />
      <Bar value={member.reading?.value ?? null} limits={limits} place={member.place} />
      <Ends limits={limits} />
      <Told member={member} limits={limits} now={now} />
    </Frame>
  );
}

export function CurveCard({ item, watched, now, change }: OneProps) {
  const member = memberOf(item, watched, readings, now);
  const limits = limitsOf(item, watched);
  const name = watched.signal.name;
  return (
    <Frame item={item} title={name} more={about(item, watched)} state={stateOf(member)} change={change}>
      <BigValue member={member} />
      <SmallCurve series={curveOf(keyOfWatched(watched))} label={t("wb_curve_of", { name })} limits={limits} least={Math.abs(watched.signal.scale) * 4} />
      <Told member={member} limits={limits} now={now} />
    </Frame>
  );
}

interface GroupProps {
  item: Item;
  members: Watched[];
  now: number;
  change: Change;
}

export function GroupCard({ item, members, now, change }: GroupProps) {
  const group = groupOf(members.map((watched) => memberOf(item, watched, readings, now)));
  const { lowest, highest, mean, old, outside } = group;
  const unit = members[0]!.signal.unit ?? "";
  const digits = Math.max(...members.map(({ signal }) => digitsOf(signal)));
  const range = { low: lowest?.reading!.value ?? null, high: highest?.reading!.value ?? null };
  const state = outside.length ? "outside" : old === members.length ? "old" : "";
  return (
    <Frame item={item} title={item.signal} more={`${item.bus} · ${t("wb_members", { count: members.length })}`} state={state} change={change}>
      <dl class="of-group">
        <Of name={t("wb_lowest")} member={lowest} />
        <Of name={t("wb_highest")} member={highest} />
        <div data-of="mean">
          <dt>{t("wb_mean")}</dt>
          <dd>
            {number(mean, digits)} <small>{unit}</small>
          </dd>
        </div>
      </dl>
      {outside.length > 0 && (
        <p class="verdict-line bad" data-told="outside">
          ⚠ {t("wb_outside", { count: outside.length })} {outside.map(({ watched }) => watched.signal.name).join(", ")}
        </p>
      )}
      {old > 0 && (
        <p class="hint" data-told="old">
          {t("wb_members_old", { old, count: members.length })}
        </p>
      )}
      <ul class="bars" tabIndex={0} aria-label={item.signal}>
        {group.members.map((member) => {
          const limits = limitsOf(item, member.watched);
          const scale = limits.low !== null && limits.high !== null ? limits : range;
          return (
            <li key={keyOfWatched(member.watched)} class={stateOf(member)} data-member={member.watched.signal.name}>
              <span class="name">
                {member.watched.signal.name}
                {member === lowest && lowest !== highest && <span title={t("wb_lowest")}> ▼</span>}
                {member === highest && lowest !== highest && <span title={t("wb_highest")}> ▲</span>}
              </span>
              <Bar value={member.reading?.value ?? null} limits={scale} place={member.place} />
              <span class="figure">
                {valueText(member)}
                <Odd member={member} now={now} />
              </span>
            </li>
          );
        })}
      </ul>
    </Frame>
  );
}

function Of({ name, member }: { name: string; member: Member | null }) {
  return (
    <div data-of={name}>
      <dt>{name}</dt>
      <dd>
        {member ? valueText(member) : "–"} <small>{member?.watched.signal.unit}</small>
      </dd>
      {member && <dd class="more">{member.watched.signal.name}</dd>}
    </div>
  );
}

/** Behind the value of a member: why it is not to be relied on. */
function Odd({ member, now }: { member: Member; now: number }) {
  if (member.reading === null) return null;
  if (member.old) return <small> {age((now - member.reading.at) / 1000)}</small>;
  if (member.place === "inside") return null;
  return <strong class="bad"> {t(member.place === "below" ? "wb_too_low" : "wb_too_high")}</strong>;
}

function BigValue({ member }: { member: Member }) {
  const { reading, watched } = member;
  return (
    <p class="big-value">
      {reading?.text ?? valueText(member)} <small>{watched.signal.unit}</small>
    </p>
  );
}

function Told({ member, limits, now }: { member: Member; limits: Limits; now: number }) {
  const { reading, old, place, watched } = member;
  if (reading === null) return <p class="verdict-line">{t("wb_never_heard")}</p>;
  if (old) return <p class="verdict-line">{t("wb_value_old", { age: age((now - reading.at) / 1000) })}</p>;
  if (place === "inside") return <p class="verdict-line faint">{limits.low === null && limits.high === null ? t("wb_no_limits") : t("wb_inside")}</p>;
  const limit = place === "below" ? limits.low : limits.high;
  const text = `${exact(limit)} ${watched.signal.unit ?? ""}`.trim();
  return <p class="verdict-line bad">⚠ {t(place === "below" ? "wb_is_below" : "wb_is_above", { limit: text })}</p>;
}

/** A track between the limits, filled as far as the value has come. */
function Bar({ value, limits, place }: { value: number | null; limits: Limits; place: string }) {
  const share = value === null ? null : shareOf(value, limits);
  return (
    <svg class={`bar ${place}`} viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect class="track" width="100" height="6" />
      {share !== null && <rect class="level" width={Math.max(1, 100 * share)} height="6" />}
    </svg>
  );
}

function Ends({ limits: { low, high } }: { limits: Limits }) {
  return (
    <p class="ends faint">
      <span>{low === null ? "" : exact(low)}</span>
      <span>{high === null ? "" : exact(high)}</span>
    </p>
  );
}

function about(item: Item, { message, bus }: Watched): string {
  return `${bus} · ${message.name || item.message}`;
}

function stateOf({ reading, old, place }: Member): string {
  if (reading === null || old) return "old";
  return place === "inside" ? "" : "outside";
}

function valueText({ reading, watched }: Member): string {
  return reading === null ? "–" : (reading.text ?? number(reading.value, digitsOf(watched.signal)));
}
