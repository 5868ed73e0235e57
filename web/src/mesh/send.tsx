/** A message to a node, to the root or to all of them, and what has become of the last ones. */

import { signal } from "@preact/signals";
import { Refusal } from "../connection";
import { clock } from "../format";
import { figure, t, word } from "../i18n";
import { post } from "../rest";
import type { Draft, Message } from "./draft";
import { EMPTY, check } from "./draft";
import type { Net } from "./net";
import type { Outcome } from "./protocol";
import { ROOT } from "./protocol";
import { reasonIn } from "./reasons";
import { show } from "./sections";

const SENT_MAX = 3;

interface Sent {
  id: number;
  ts: number;
  to: string;
  what: string;
  /** Null: not told yet. */
  outcome: Outcome | null;
}

/** What was typed stays while one looks at something else. */
const draft = signal<Draft>(EMPTY);
const sent = signal<readonly Sent[]>([]);
let nextId = 0;

export function sendTo(addr: number): void {
  draft.value = { ...draft.value, to: String(addr) };
  show("send", () => document.getElementById("ms-typed")?.focus());
}

export function Send({ net }: { net: Net }) {
  const { to, how, typed, opcode, isImportant } = draft.value;
  const { message, problem } = check(draft.value);
  const change = (some: Partial<Draft>) => {
    draft.value = { ...draft.value, ...some };
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (message) void send(message, net.nodes.byAddr.get(Number(to))?.name ?? nameOf(to), summaryOf(draft.value));
  };
  // They change together.
  net.cells.value;
  net.counts.value;
  const others = net.nodes.ordered().filter(({ addr }) => addr !== ROOT);
  const isThere = to === "all" || to === String(ROOT) || net.nodes.byAddr.has(Number(to));
  const isWrong = problem !== undefined && typed !== "";
  return (
    <form class="message" onSubmit={submit}>
      <div class="field">
        <label for="ms-to">{t("ms_to")}</label>
        <select id="ms-to" value={to} onChange={(event) => change({ to: event.currentTarget.value })}>
          <option value="all">{t("ms_all_nodes")}</option>
          <option value={ROOT}>{t("ms_root")}</option>
          {!isThere && <option value={to}>{nameOf(to)}</option>}
          {others.map(({ addr, name, state }) => (
            <option key={addr} value={addr}>
              {state === "disconnected" ? `${name} (${t("ms_state_disconnected")})` : name}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="ms-opcode">{t("ms_opcode")}</label>
        <select id="ms-opcode" value={opcode} onChange={(event) => change({ opcode: event.currentTarget.value })}>
          <option value="">{t("ms_no_opcode")}</option>
          {(net.about.value?.opcodes ?? []).map(({ name, code }) => (
            <option key={name} value={name}>
              {name} ({written(code)})
            </option>
          ))}
        </select>
      </div>
      <div class="typed">
        <label for="ms-typed">{t(how === "text" ? "ms_text" : "ms_hex")}</label>
        <input
          id="ms-typed"
          type="text"
          class={how === "hex" ? "octets" : ""}
          autocomplete="off"
          spellcheck={false}
          placeholder={how === "hex" ? "01 A2 FF" : ""}
          value={typed}
          aria-invalid={isWrong}
          aria-describedby="ms-typed-problem"
          onInput={(event) => change({ typed: event.currentTarget.value })}
        />
        <select
          aria-label={t("ms_written_as")}
          value={how}
          onChange={(event) => change({ how: event.currentTarget.value === "hex" ? "hex" : "text" })}
        >
          <option value="text">{t("ms_text")}</option>
          <option value="hex">{t("ms_hex_short")}</option>
        </select>
      </div>
      <span id="ms-typed-problem" class="wrong">
        {isWrong && t(problem.key, problem.args)}
      </span>
      <div class="out">
        <label>
          <input
            type="checkbox"
            checked={isImportant && to !== "all"}
            disabled={to === "all"}
            onChange={(event) => change({ isImportant: event.currentTarget.checked })}
          />
          {t("ms_important")}
        </label>
        <button type="submit" class="main" disabled={message === undefined}>
          {t("ms_send_now")}
        </button>
        <span class="hint">{message && t("ms_octets", { count: figure(message.octets) })}</span>
      </div>
      <p class="hint">{t(to === "all" ? "ms_important_not_all" : "ms_important_hint")}</p>
      <SentList />
    </form>
  );
}

const GOOD = ["sent", "delivered"];

function SentList() {
  return (
    <ol class="sent" aria-label={t("ms_sent")} aria-live="polite">
      {sent.value.map(({ id, ts, to, what, outcome }) => (
        <li key={id} data-outcome={outcome?.state ?? "waiting"}>
          <span class="what">
            {clock(ts)} · {to}: <code>{what}</code>
          </span>
          <span class={outcome === null ? "became" : GOOD.includes(outcome.state) ? "became good" : "became bad"}>
            {outcome === null ? t("ms_out_waiting") : inWords(outcome)}
          </span>
        </li>
      ))}
    </ol>
  );
}

function inWords({ state, attempts = 0, reason = "" }: Outcome): string {
  const known = word("ms_out", state);
  const counted = attempts > 1 ? t("ms_attempts", { state: known, attempts }) : known;
  if (state === "failed") return counted; // which is all that the reason says
  return reason ? `${counted}: ${reasonIn(t, reason)}` : counted;
}

async function send({ path, body }: Message, to: string, what: string): Promise<void> {
  nextId += 1;
  const id = nextId;
  sent.value = [{ id, ts: Date.now() / 1000, to, what, outcome: null }, ...sent.value].slice(0, SENT_MAX);
  const outcome = await post<Outcome>(path, body).catch(refusal);
  sent.value = sent.value.map((each) => (each.id === id ? { ...each, outcome } : each));
}

function refusal(error: unknown): Outcome {
  if (!(error instanceof Refusal)) throw error;
  return error.code === "unreachable" ? { state: "unreachable" } : { state: "refused", reason: error.reason };
}

function nameOf(to: string): string {
  return to === "all" ? t("ms_all_nodes") : to === String(ROOT) ? t("ms_root") : `Node-${to}`;
}

function summaryOf({ opcode, typed }: Draft): string {
  const text = [opcode, typed].filter(Boolean).join(" ");
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}

/** 'D', or 0x01 for what is no letter. */
function written(code: number): string {
  return code > 0x20 && code < 0x7f ? `'${String.fromCharCode(code)}'` : `0x${code.toString(16).padStart(2, "0")}`;
}
