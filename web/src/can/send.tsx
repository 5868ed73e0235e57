/** Sending on the bus that is looked at: a frame or a message's signals, once or again and again. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { t } from "../i18n";
import { tell } from "../toast";
import { bus, chosen } from "./buses";
import { Cyclics } from "./cyclic";
import { useMessages } from "./dbc";
import { parsePeriod } from "./frame_form";
import { FrameForm } from "./send_frame";
import { SignalsForm } from "./send_signals";
import type { Wanted } from "./sending";
import { sendEvery, sendOnce, whyNot } from "./sending";
import { IntoList, TransmitLists } from "./transmit_lists";
import { Wrong } from "./wrong";
import "./tools.css";

type How = "signals" | "frame";

export function Send() {
  const how = useSignal<How | null>(null);
  const wanted = useSignal<Wanted | null>(null);
  const name = chosen.value;
  const messages = useMessages(name);
  const shown = how.value ?? (messages?.length ? "signals" : "frame");
  const why = whyNot.value;
  const choose = (next: How) => {
    how.value = next;
  };
  return (
    <section class="send" aria-label={t("can_send")}>
      {why ? (
        <p class="told" data-why={why.key}>
          {t(why.key, why.args)}
        </p>
      ) : (
        <div class="panel">
          <div class="tools" role="group" aria-label={t("wb_send_how")}>
            <Way now={shown} way="signals" choose={choose}>
              {t("wb_by_signals")}
            </Way>
            <Way now={shown} way="frame" choose={choose}>
              {t("wb_as_frame")}
            </Way>
          </div>
          {shown === "frame" ? (
            <FrameForm key={name} fd={bus.value?.fd ?? false} changed={(next) => (wanted.value = next)} />
          ) : (
            <SignalsForm key={name} bus={name} messages={messages} changed={(next) => (wanted.value = next)} />
          )}
          <Out wanted={wanted.value} />
        </div>
      )}
      <Cyclics />
      <TransmitLists />
    </section>
  );
}

interface WayProps {
  now: How;
  way: How;
  choose: (way: How) => void;
  children: ComponentChildren;
}

function Way({ now, way, choose, children }: WayProps) {
  return (
    <button type="button" aria-pressed={now === way} onClick={() => choose(way)}>
      {children}
    </button>
  );
}

function Out({ wanted }: { wanted: Wanted | null }) {
  const period = useSignal("100");
  const pinned = useSignal(false);
  const checked = parsePeriod(period.value);
  const once = async () => {
    if (wanted && (await sendOnce(wanted))) tell(t("wb_sent", { bus: chosen.value }));
  };
  const every = async () => {
    if (wanted && checked.value !== undefined) await sendEvery(wanted, checked.value, pinned.value);
  };
  return (
    <div class="out">
      <div class="tools">
        <button type="button" class="main" disabled={wanted === null} onClick={() => void once()}>
          {t("wb_send_once")}
        </button>
        <label>
          {t("wb_every")}
          <input
            type="text"
            inputMode="decimal"
            class="short"
            value={period.value}
            aria-invalid={checked.problem !== undefined}
            aria-describedby="can-period-problem"
            onInput={(event) => {
              period.value = event.currentTarget.value;
            }}
          />
          ms
        </label>
        <button type="button" disabled={wanted === null || checked.value === undefined} onClick={() => void every()}>
          {t("wb_send_cyclically")}
        </button>
        <label>
          <input
            type="checkbox"
            checked={pinned.value}
            onChange={(event) => {
              pinned.value = event.currentTarget.checked;
            }}
          />
          {t("wb_pinned")}
        </label>
        <IntoList wanted={wanted} periodMs={checked.value ?? null} />
      </div>
      <Wrong id="can-period-problem" problem={checked.problem} />
      <p class="hint">{t(pinned.value ? "wb_pinned_goes_on" : "wb_ends_with_page")}</p>
    </div>
  );
}
