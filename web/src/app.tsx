/** The frame around the views: what is chosen, what is wrong, which language and which light. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Arrays } from "./arrays/arrays";
import { Banner } from "./banner";
import { bench, refused } from "./bench";
import { Can } from "./can/can";
import { Compare } from "./compare";
import { language, t } from "./i18n";
import type { Key, Language } from "./i18n";
import { Live } from "./live";
import { Mesh } from "./mesh/mesh";
import { Overlay } from "./overlay";
import { RideView } from "./ride";
import { Rides } from "./rides";
import { Robots } from "./robots/robots";
import type { Theme } from "./settings";
import { chooseLanguage, chooseTheme, theme } from "./settings";
import { Toasts } from "./toast";
import { Rights, TokenForm } from "./token";

interface Tab {
  path: string;
  title: Key;
  /** Shown when the listener says that it has this part; always, without one. */
  part?: string;
  view: (rest: string[]) => ComponentChildren;
}

/** Every other instrument at the bench adds its line here. */
const TABS: Tab[] = [
  { path: "live", title: "live", view: () => <Live /> },
  { path: "rides", title: "rides", part: "rides", view: ([which]) => (which ? <RideView key={which} which={which} /> : <Rides />) },
  { path: "can", title: "can", part: "workbench", view: ([section]) => <Can section={section} /> },
  { path: "robots", title: "robots", part: "robots", view: () => <Robots /> },
  { path: "signals", title: "ar_title", part: "arrays", view: ([section]) => <Arrays section={section} /> },
  { path: "mesh", title: "ms_title", part: "mesh", view: ([section]) => <Mesh section={section} /> },
];

/** Reached from a tab's view, and belonging to it. */
const INNER: Record<string, { tab: string; view: (rest: string[]) => ComponentChildren }> = {
  compare: {
    tab: "rides",
    view: ([which = "", against = null]) => <Compare which={which} against={against} />,
  },
  overlay: {
    tab: "rides",
    view: ([numbers = ""]) => <Overlay numbers={numbers.split(",").map(Number).filter(Number.isInteger)} />,
  },
};

const route = signal<string[]>([]);

export function followHash(): void {
  const read = () => {
    route.value = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
    window.scrollTo(0, 0);
  };
  window.addEventListener("hashchange", read);
  read();
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function App() {
  const [first = "live", ...rest] = route.value;
  const inner = INNER[first];
  const shown = TABS.filter((tab) => !tab.part || bench.value.parts.has(tab.part) || bench.value.epoch === null);
  const current = inner?.tab ?? (shown.some((tab) => tab.path === first) ? first : "live");
  const tab = shown.find((each) => each.path === current) ?? shown[0]!;
  return (
    <>
      <header class="top">
        <strong>LES02</strong>
        <nav aria-label={t("views")}>
          {shown.map(({ path, title }) => (
            <a key={path} href={`#/${path}`} aria-current={path === current ? "page" : undefined}>
              {t(title)}
            </a>
          ))}
        </nav>
        <Rights />
        <Choices />
      </header>
      <Banner />
      {refused.value && <TokenForm />}
      <main>{inner ? inner.view(rest) : tab.view(tab.path === first ? rest : [])}</main>
      <footer class="foot">
        LES02 listener {bench.value.version} · {t("no_safety_function")}
      </footer>
      <Toasts />
    </>
  );
}

const THEMES: Record<Theme, Key> = { dark: "theme_dark", light: "theme_light", system: "theme_system" };

function Choices() {
  return (
    <div class="choices">
      <select
        aria-label={t("language")}
        value={language.value}
        onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}
      >
        <option value="en">English</option>
        <option value="de">Deutsch</option>
      </select>
      <select aria-label={t("theme")} value={theme.value} onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}>
        {(Object.keys(THEMES) as Theme[]).map((each) => (
          <option key={each} value={each}>
            {t(THEMES[each])}
          </option>
        ))}
      </select>
    </div>
  );
}
