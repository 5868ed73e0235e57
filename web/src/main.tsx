import { render } from "preact";
import { App, followHash } from "./app";
import { start } from "./bench";
import { startSettings } from "./settings";
import "./style.css";

startSettings();
followHash();
start();
render(<App />, document.getElementById("page")!);
