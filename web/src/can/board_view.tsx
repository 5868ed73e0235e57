/** The board: chosen signals as gauges, small curves and groups, current or told to be old. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { save } from "../exports";
import { t } from "../i18n";
import { tell, UNDO_MS } from "../toast";
import type { Item, Watched } from "./board";
import { keyOfWatched, membersOf } from "./board";
import { CurveCard, GaugeCard, GroupCard, UnknownCard } from "./board_cards";
import { Choice } from "./board_choice";
import { boardOf, boardText } from "./board_file";
import { changeItems, generation, items, lost, watch } from "./board_state";
import { chosen } from "./buses";
import { useMessagesOf } from "./dbc";
import "./tools.css";

const TICK_MS = 250;

export function Board() {
  const now = useNow();
  const shown = items.value;
  const messages = useMessagesOf([...new Set([chosen.value, ...shown.map((item) => item.bus)])]);
  const members = shown.map((item) => membersOf(item, messages[item.bus] ?? []));
  const watched = [...new Map(members.flat().map((each) => [keyOfWatched(each), each])).values()];
  const key = watched.map((each) => `${each.message.frame_id} ${keyOfWatched(each)}`).join("\t");
  useEffect(() => watch(watched), [key]);
  useEffect(() => () => watch([]), []);

  const change = (index: number, changed: Item | null) => {
    const before = shown;
    changeItems(before.flatMap((item, each) => (each !== index ? [item] : changed ? [changed] : [])));
    if (changed) return;
    const close = tell(t("wb_card_removed", { name: before[index]!.signal }), {
      ms: UNDO_MS,
      undo: () => {
        changeItems(before);
        close();
      },
    });
  };
  const reason = lost.value.plain ?? lost.value.multiplexed;
  return (
    <section class="board" aria-label={t("can_board")}>
      <Choice
        key={chosen.value}
        bus={chosen.value}
        messages={messages[chosen.value] ?? null}
        isEmpty={!shown.length}
        add={(item) => changeItems([...items.value, item])}
      />
      {shown.length > 0 && reason !== null && (
        <p class="told bad" role="alert">
          {t("can_no_stream", { reason })}
        </p>
      )}
      {!shown.length && <p class="empty">{t("wb_board_empty")}</p>}
      <div class="cards">
        {shown.map((item, index) => (
          <Card
            key={`${generation.value} ${index} ${item.bus} ${item.message} ${item.signal}`}
            item={item}
            members={members[index]!}
            isKnown={messages[item.bus] !== null}
            now={now}
            change={(changed) => change(index, changed)}
          />
        ))}
      </div>
      <Files />
    </section>
  );
}

interface CardProps {
  item: Item;
  members: Watched[];
  isKnown: boolean;
  now: number;
  change: (changed: Item | null) => void;
}

function Card({ item, members, isKnown, now, change }: CardProps) {
  const [only] = members;
  if (only === undefined) return <UnknownCard item={item} isKnown={isKnown} change={change} />;
  if (item.view === "group") return <GroupCard item={item} members={members} now={now} change={change} />;
  return item.view === "curve" ? (
    <CurveCard item={item} watched={only} now={now} change={change} />
  ) : (
    <GaugeCard item={item} watched={only} now={now} change={change} />
  );
}

/** The moment for which the board is drawn; it moves while the page is seen. */
function useNow(): number {
  const now = useSignal(performance.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) now.value = performance.now();
    }, TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now.value;
}

function Files() {
  const read = async (file: File | undefined) => {
    if (!file) return;
    const found = boardOf(await file.text());
    if (found === null) {
      tell(t("wb_no_board_file", { name: file.name }), { bad: true });
      return;
    }
    const before = items.value;
    generation.value += 1;
    changeItems(found);
    const close = tell(t("wb_board_read", { count: found.length }), {
      ms: UNDO_MS,
      undo: () => {
        generation.value += 1;
        changeItems(before);
        close();
      },
    });
  };
  return (
    <div class="tools">
      <button
        type="button"
        disabled={!items.value.length}
        onClick={() => save(new Blob([boardText(items.value)], { type: "application/json" }), "board.json")}
      >
        {t("wb_board_save")}
      </button>
      <label class="button">
        {t("wb_board_open")}
        <input
          type="file"
          class="for-readers"
          accept=".json,application/json"
          onChange={(event) => {
            void read(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </label>
      <span class="hint">{t("wb_board_kept")}</span>
    </div>
  );
}
