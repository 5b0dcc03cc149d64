/** Icons of widgets and panels. */

import { Icon } from "../ui/Icon";

const dot = (x: number, y: number) => (
  <circle key={`${x}-${y}`} cx={x} cy={y} r=".9" fill="currentColor" stroke="none" />
);

export const Dice = () => (
  <Icon>
    <rect x="2" y="2" width="12" height="12" rx="3" />
    {[dot(5.5, 5.5), dot(10.5, 5.5), dot(8, 8), dot(5.5, 10.5), dot(10.5, 10.5)]}
  </Icon>
);
export const Lock = () => (
  <Icon>
    <rect x="3" y="7" width="10" height="7" rx="1.5" />
    <path d="M5 7V5a3 3 0 0 1 6 0v2" />
  </Icon>
);
export const Unlock = () => (
  <Icon>
    <rect x="3" y="7" width="10" height="7" rx="1.5" />
    <path d="M5 7V5a3 3 0 0 1 5.8-1" />
  </Icon>
);
export const Plus = () => (
  <Icon>
    <path d="M8 3v10M3 8h10" />
  </Icon>
);
export const Cross = () => (
  <Icon>
    <path d="m4 4 8 8m0-8-8 8" />
  </Icon>
);
export const Up = () => (
  <Icon>
    <path d="m4 10 4-4 4 4" />
  </Icon>
);
export const Down = () => (
  <Icon>
    <path d="m4 6 4 4 4-4" />
  </Icon>
);
export const Copy = () => (
  <Icon>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5v-1A1.5 1.5 0 0 0 9 3H4a1.5 1.5 0 0 0-1.5 1.5V9A1.5 1.5 0 0 0 4 10.5h1.5" />
  </Icon>
);
export const Brush = () => (
  <Icon>
    <path d="M13.5 2.5c-3 1.2-5.2 3-6.8 5.3l1.5 1.5C10.5 7.700 12.3 5.500 13.500 2.500ZM6 9c-2 0-2.200 2-3.500 3.500 2 .8 5 .3 5-2.300" />
  </Icon>
);
export const Eraser = () => (
  <Icon>
    <path d="m6 13-3.300-3.300a1 1 0 0 1 0-1.400l5.600-5.600a1 1 0 0 1 1.400 0l3.600 3.600a1 1 0 0 1 0 1.400L7.600 13ZM5.500 5.500l5 5M6 13h7.500" />
  </Icon>
);
export const Undo = () => (
  <Icon>
    <path d="M5 4 2.500 6.500 5 9M2.500 6.500H10a3 3 0 0 1 0 6H7" />
  </Icon>
);
export const Redo = () => (
  <Icon>
    <path d="m11 4 2.500 2.500L11 9m2.500-2.500H6a3 3 0 0 0 0 6h3" />
  </Icon>
);
export const Invert = () => (
  <Icon>
    <circle cx="8" cy="8" r="5.500" />
    <path d="M8 2.500a5.500 5.500 0 0 1 0 11Z" fill="currentColor" />
  </Icon>
);
export const Picture = () => (
  <Icon>
    <rect x="2" y="3" width="12" height="10" rx="1.500" />
    <circle cx="5.500" cy="6.300" r="1" />
    <path d="m2.500 12 3.500-3.500 2 2 2.500-3 3.200 4" />
  </Icon>
);
export const Grid = () => (
  <Icon>
    <path d="M2.5 2.5h4.2v4.2H2.5zM9.3 2.5h4.2v4.2H9.3zM2.5 9.3h4.2v4.2H2.5zM9.3 9.3h4.2v4.2H9.3z" />
  </Icon>
);

export const Search = () => (
  <Icon>
    <circle cx="7" cy="7" r="4.500" />
    <path d="m10.500 10.500 3 3" />
  </Icon>
);
export const Retry = () => (
  <Icon>
    <path d="M13 8a5 5 0 1 1-1.500-3.600L13 6m0-3.500V6H9.500" />
  </Icon>
);
export const Stop = () => (
  <Icon>
    <rect x="4" y="4" width="8" height="8" rx="1.500" fill="currentColor" />
  </Icon>
);
export const Grip = () => <Icon>{[dot(6, 4), dot(10, 4), dot(6, 8), dot(10, 8), dot(6, 12), dot(10, 12)]}</Icon>;
export const Compare = () => (
  <Icon>
    <rect x="2" y="3" width="12" height="10" rx="1.500" />
    <path d="M8 1.500v13M4.500 8h1m5 0h1" />
  </Icon>
);
export const Download = () => (
  <Icon>
    <path d="M8 2.500V10M5 7.500 8 10.500l3-3M3 13.500h10" />
  </Icon>
);
export const OpenFile = () => (
  <Icon>
    <path d="M2.500 12.500v-9h4l1.500 2h5.500v7Z" />
  </Icon>
);
export const Warning = () => (
  <Icon>
    <path d="M8 2.500 14 13H2ZM8 6.500V9.500" />
    {dot(8, 11.3)}
  </Icon>
);
export const Failure = () => (
  <Icon>
    <circle cx="8" cy="8" r="5.500" />
    <path d="M8 5v3.500" />
    {dot(8, 10.8)}
  </Icon>
);
export const Good = () => (
  <Icon>
    <circle cx="8" cy="8" r="5.500" />
    <path d="m5.500 8.200 1.800 1.800 3.200-3.700" />
  </Icon>
);
export const Pin = () => (
  <Icon>
    <path d="M6 2.500h4M6.500 2.500v4L4.500 9h7L9.500 6.500v-4M8 9v4.500" />
  </Icon>
);
