import "@fontsource-variable/inter/wght.css";
import "./view/theme/tokens.css";
import "./view/theme/base.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./view/App";
import { followTheme } from "./view/theme/theme";

followTheme();
const root = document.getElementById("root");
if (root !== null)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
