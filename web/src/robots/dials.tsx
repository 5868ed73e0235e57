/** Speed and brightness. What they are set to elsewhere nobody tells, so nothing is claimed before they are moved. */

import { t } from "../i18n";
import type { Desk, Slider } from "./desk";

const SLIDERS: Slider[] = ["set_speed", "set_brightness"];
const MIDDLE = 50;

export function Dials({ desk, isDead }: { desk: Desk; isDead: boolean }) {
  return (
    <div class="dials">
      {SLIDERS.map((slider) => {
        const value = desk.set.value[slider];
        const text = value === undefined ? t("rb_not_set") : t("rb_percent", { value });
        const turn = (event: Event) => desk.turn(slider, Number((event.currentTarget as HTMLInputElement).value));
        return (
          <label key={slider}>
            <span>
              {t(`rb_${slider}`)} <output>{text}</output>
            </span>
            <input
              type="range"
              min="1"
              max="100"
              step="1"
              data-slider={slider}
              class={value === undefined ? "unset" : undefined}
              value={value ?? MIDDLE}
              disabled={isDead}
              aria-valuetext={text}
              onInput={turn}
              onChange={turn}
            />
          </label>
        );
      })}
    </div>
  );
}
