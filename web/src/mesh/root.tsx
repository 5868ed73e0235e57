/** The root module: to restart it, or to make it forget its network. What that does is said before it is done. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Refusal } from "../connection";
import { t } from "../i18n";
import { post } from "../rest";
import { tell } from "../toast";
import type { Net } from "./net";
import { reasonIn } from "./reasons";

type What = "reset" | "clean";

export function Root({ net }: { net: Net }) {
  const asked = useSignal<What | null>(null);
  const opener = useRef<HTMLButtonElement | null>(null);
  const open = (what: What) => (event: MouseEvent) => {
    opener.current = event.currentTarget as HTMLButtonElement;
    asked.value = what;
  };
  const close = () => {
    asked.value = null;
    opener.current?.focus();
  };
  const yes = async (what: What) => {
    close();
    try {
      await post<{ state: string }>(`/mesh/${what}`);
      tell(t(`ms_${what}_sent`));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      tell(t("ms_not_done", { reason: error.reason ? reasonIn(t, error.reason) : t("refusal_no_answer") }), { bad: true });
    }
    net.readSoon();
  };
  return (
    <div class="root-module" role="group" aria-label={t("ms_root_module")}>
      <span class="hint">{t("ms_root_module")}:</span>
      <button type="button" onClick={open("reset")}>
        {t("ms_reset")} …
      </button>
      <button type="button" onClick={open("clean")}>
        {t("ms_clean")} …
      </button>
      {asked.value && <Question key={asked.value} what={asked.value} net={net} yes={yes} close={close} />}
    </div>
  );
}

interface QuestionProps {
  what: What;
  net: Net;
  yes: (what: What) => Promise<void>;
  close: () => void;
}

function Question({ what, net, yes, close }: QuestionProps) {
  const cancel = useRef<HTMLButtonElement>(null);
  useEffect(() => cancel.current!.focus(), []);
  const { active, idle } = net.counts.value;
  return (
    <div
      class="question"
      role="alertdialog"
      aria-labelledby="ms-question"
      aria-describedby="ms-consequence"
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      <p id="ms-question">
        <strong>{t(`ms_${what}_question`)}</strong>
      </p>
      <p id="ms-consequence">{t(`ms_${what}_consequence`, { count: active + idle })}</p>
      <button type="button" class="danger" onClick={() => void yes(what)}>
        {t(`ms_${what}_yes`)}
      </button>
      <button type="button" ref={cancel} onClick={close}>
        {t("ms_cancel")}
      </button>
    </div>
  );
}
