/** Icons of the canvas and its bars. */

import type { ReactNode } from "react";
import { Icon } from "./Icon";

function icon(children: ReactNode, fill = false) {
  return () => <Icon fill={fill}>{children}</Icon>;
}

export const Play = icon(
  <path d="M5 3.4v9.2a.6.6 0 0 0 .92.5l7.1-4.6a.6.6 0 0 0 0-1L5.92 2.9A.6.6 0 0 0 5 3.4z" />,
  true,
);
export const Stop = icon(<rect x="4" y="4" width="8" height="8" rx="1.5" />, true);
export const Undo = icon(<path d="M6 3 3 6l3 3M3 6h6.5a3.5 3.5 0 0 1 0 7H7" />);
export const Redo = icon(<path d="m10 3 3 3-3 3m3-3H6.5a3.5 3.5 0 0 0 0 7H9" />);
export const Layout = icon(
  <>
    <rect x="1.8" y="2.5" width="4.4" height="4" rx="1" />
    <rect x="1.8" y="9.5" width="4.4" height="4" rx="1" />
    <rect x="9.8" y="6" width="4.4" height="4" rx="1" />
    <path d="M6.2 4.5H8V8h1.8M6.2 11.5H8V8" />
  </>,
);
export const Help = icon(
  <>
    <circle cx="8" cy="8" r="6" />
    <path d="M6.4 6.3A1.7 1.7 0 0 1 8 5.1c1 0 1.7.6 1.7 1.5 0 1.2-1.7 1.3-1.7 2.5" />
    <circle cx="8" cy="11.2" r=".5" fill="currentColor" />
  </>,
);
export const Sun = icon(
  <>
    <circle cx="8" cy="8" r="2.8" />
    <path d="M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9" />
  </>,
);
export const Moon = icon(<path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z" />);
export const Auto = icon(
  <>
    <circle cx="8" cy="8" r="5.8" />
    <path d="M8 2.2a5.8 5.8 0 0 1 0 11.6z" fill="currentColor" stroke="none" />
  </>,
);
export const Menu = icon(<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />);
export const Plus = icon(<path d="M8 3v10M3 8h10" />);
export const Minus = icon(<path d="M3 8h10" />);
export const Fit = icon(
  <path d="M2.5 6V3.5a1 1 0 0 1 1-1H6M10 2.5h2.5a1 1 0 0 1 1 1V6M13.5 10v2.5a1 1 0 0 1-1 1H10M6 13.5H3.5a1 1 0 0 1-1-1V10" />,
);
export const Search = icon(
  <>
    <circle cx="7" cy="7" r="4.3" />
    <path d="m10.3 10.3 3.2 3.2" />
  </>,
);
export const Chevron = icon(<path d="m6 4 4 4-4 4" />);
export const Down = icon(<path d="m4 6 4 4 4-4" />);
export const Dots = icon(
  <>
    <circle cx="3.5" cy="8" r="1.1" />
    <circle cx="8" cy="8" r="1.1" />
    <circle cx="12.5" cy="8" r="1.1" />
  </>,
  true,
);
export const Check = icon(<path d="m3.5 8.5 3 3 6-7" />);
export const Warn = icon(<path d="M8 2.3 14 13H2L8 2.3zM8 6.5v3M8 11.3v.1" />);
export const Dashed = icon(<circle cx="8" cy="8" r="5" strokeDasharray="2 2.4" />);
export const Clock = icon(
  <>
    <circle cx="8" cy="8" r="5.5" />
    <path d="M8 5v3.2l2 1.3" />
  </>,
);
export const Sidebar = icon(
  <>
    <rect x="2" y="2.8" width="12" height="10.4" rx="1.8" />
    <path d="M6 2.8v10.4" />
  </>,
);
export const Layers = icon(<path d="m8 2 6 3.2L8 8.4 2 5.2 8 2zM2.6 8.3 8 11.2l5.4-2.9M2.6 11 8 13.8l5.4-2.8" />);
export const Close = icon(<path d="m4 4 8 8m0-8-8 8" />);
