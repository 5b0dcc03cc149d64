/** A line icon of 16 px in the colour of the text. It says nothing to screen readers. */

import type { ReactNode } from "react";

export function Icon({ children, fill = false }: { readonly children: ReactNode; readonly fill?: boolean }) {
  return (
    <svg
      viewBox="0 0 16 16"
      width="1rem"
      height="1rem"
      fill={fill ? "currentColor" : "none"}
      stroke={fill ? "none" : "currentColor"}
      strokeWidth="1.4"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}
