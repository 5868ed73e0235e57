/**
 * A stick: dragged by a finger, a pen or the mouse, or moved by keys while it has the focus.
 *
 * One pointer at a time holds it. Whatever takes hand or eye away (`desk.letGo`) sets it to zero, and it must be
 * taken anew: a pointer or a key that is still down means nothing then.
 */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { number } from "../format";
import type { Desk, Stick } from "./desk";
import type { Point } from "./stick";
import { ZERO, fromKeys, fromPointer, isKey } from "./stick";

/** Of a box of 200 by 200. */
const REACH = 60;
const KNOB = 32;

interface Props {
  desk: Desk;
  stick: Stick;
  isDead: boolean;
  /** Who it moves. */
  whom: string;
}

export function Joystick({ desk, stick, isDead, whom }: Props) {
  const pad = useRef<HTMLDivElement>(null);
  const pointer = useRef<number | null>(null);
  const keys = useRef(new Set<string>());
  const at = useSignal<Point>(ZERO);
  // Its middle and its reach on the screen when it was taken: what shifts on the page moves no robot.
  const middle = useRef({ x: 0, y: 0, reach: 0 });

  const go = (to: Point) => {
    at.value = to;
    desk.move(stick, to);
  };
  const end = () => {
    if (pointer.current === null && keys.current.size === 0) return;
    const held = pointer.current;
    pointer.current = null;
    keys.current.clear();
    at.value = ZERO;
    desk.release(stick);
    desk.grip(stick, false);
    if (held !== null && pad.current?.hasPointerCapture(held)) pad.current.releasePointerCapture(held);
  };
  useEffect(() => {
    const forget = desk.dropped.subscribe(end);
    return () => {
      forget();
      end();
    };
  }, [desk]);

  const drag = (event: PointerEvent) => {
    if (event.pointerId !== pointer.current) return;
    const { x, y, reach } = middle.current;
    go(fromPointer(event.clientX - x, event.clientY - y, reach));
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || pointer.current !== null || keys.current.size > 0 || desk.dead(performance.now())) return;
    const { left, top, width, height } = pad.current!.getBoundingClientRect();
    middle.current = { x: left + width / 2, y: top + height / 2, reach: (width * REACH) / 200 };
    pointer.current = event.pointerId;
    pad.current!.setPointerCapture(event.pointerId);
    desk.grip(stick, true);
    drag(event);
  };
  const up = (event: PointerEvent) => {
    if (event.pointerId === pointer.current) end();
  };
  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (pointer.current === null) end(); // the system may keep it from us that a key goes up
      return;
    }
    const isShift = event.key === "Shift";
    if (!isShift && !isKey(event.code)) return;
    if (!isShift) event.preventDefault();
    if (event.repeat || pointer.current !== null) return;
    if (event.type === "keydown") {
      if (!isShift) {
        if (desk.dead(performance.now())) return;
        keys.current.add(event.code);
      }
    } else keys.current.delete(event.code);
    if (keys.current.size > 0) go(fromKeys(keys.current, event.shiftKey));
    else if (!isShift) {
      go(ZERO);
      desk.release(stick);
    }
  };
  const blur = () => {
    // A second finger on the other stick takes the focus, too.
    if (pointer.current === null) end();
  };

  const { x, y } = at.value;
  const place = t("rb_xy", { x: number(x, 2), y: number(y, 2) });
  return (
    <div class="stick">
      <h3 aria-hidden="true">{t(`rb_${stick}`)}</h3>
      <div
        ref={pad}
        class="pad"
        tabIndex={0}
        role="application"
        aria-roledescription={t("rb_joystick")}
        aria-label={`${t(`rb_${stick}`)}: ${whom}`}
        aria-describedby="stick-help"
        aria-disabled={isDead}
        data-stick={stick}
        onPointerDown={down}
        onPointerMove={drag}
        onPointerUp={up}
        onPointerCancel={up}
        onLostPointerCapture={up}
        onContextMenu={(event) => event.preventDefault()}
        onTouchMove={(event) => event.preventDefault()}
        onKeyDown={key}
        onKeyUp={key}
        onBlur={blur}
      >
        <svg viewBox="-100 -100 200 200" aria-hidden="true">
          <circle class="rim" r={REACH + KNOB} />
          <path class="cross" d="M0 -84V84M-84 0H84" />
          <path class="arrows" d="M0 -88l6 8h-12zM0 88l6 -8h-12zM-88 0l8 6v-12zM88 0l-8 6v-12z" />
          <line class="arm" x1="0" y1="0" x2={x * REACH} y2={-y * REACH} />
          <circle class="knob" cx={x * REACH} cy={-y * REACH} r={KNOB} />
        </svg>
      </div>
      <output class="place">{place}</output>
    </div>
  );
}
