/** Line icons, drawn on a 24-unit grid in the text's colour; decoration only, so hidden from screen readers. */

const PATHS = {
  chat: "M21 11.5a8.4 8.4 0 0 1-8.5 8.3 8.9 8.9 0 0 1-3.8-.8L3 20.5l1.6-5.1a8 8 0 0 1-1.1-3.9 8.4 8.4 0 0 1 8.5-8.3h.5a8.4 8.4 0 0 1 8.5 7.8z",
  close: "M6 6l12 12M18 6 6 18",
  down: "M6 9.5l6 6 6-6",
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  photo: "M4 7.5A2.5 2.5 0 0 1 6.5 5h11A2.5 2.5 0 0 1 20 7.5v9a2.5 2.5 0 0 1-2.5 2.5h-11A2.5 2.5 0 0 1 4 16.5zM4.5 16l4-4 3.5 3.5 2.5-2.5 5 4.5M15.2 9.4h.01",
  camera: "M4 9.2C4 8 5 7 6.2 7H8l1.3-2h5.4L16 7h1.8C19 7 20 8 20 9.2v7.6c0 1.2-1 2.2-2.2 2.2H6.2C5 19 4 18 4 16.8zM12 16a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z",
  mic: "M12 3.5a2.8 2.8 0 0 0-2.8 2.8v5.2a2.8 2.8 0 0 0 5.6 0V6.3A2.8 2.8 0 0 0 12 3.5zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  trash: "M4.5 7h15M9.5 7V4.5h5V7M6.5 7l.9 12.5h9.2L17.5 7",
  person: "M12 11.5a3.7 3.7 0 1 0 0-7.4 3.7 3.7 0 0 0 0 7.4zM4.8 20c.6-3.7 3.6-5.5 7.2-5.5s6.6 1.8 7.2 5.5",
  up: "M7.5 11v9.5H4V11zM7.5 11l3.8-7.5c1.5 0 2.5 1.1 2.3 2.6L13 9.5h5.3a2 2 0 0 1 2 2.3l-1 6.5a2.5 2.5 0 0 1-2.5 2.2H7.5",
  thumbDown: "M16.5 13V3.5H20V13zM16.5 13l-3.8 7.5c-1.5 0-2.5-1.1-2.3-2.6l.6-3.4H5.7a2 2 0 0 1-2-2.3l1-6.5a2.5 2.5 0 0 1 2.5-2.2h9.3",
  check: "M5 12.5l4.5 4.5L19 7.5",
  book: "M5 5.5A2.5 2.5 0 0 1 7.5 3H19v15H7.5A2.5 2.5 0 0 0 5 20.5zM5 20.5A2.5 2.5 0 0 0 7.5 21H19v-3",
  tag: "M3.5 12.5v-7a2 2 0 0 1 2-2h7l8 8-9 9zM8 8h.01",
  box: "M12 3l8 4.3v9.4L12 21l-8-4.3V7.3zM4 7.3l8 4.3 8-4.3M12 11.6V21",
  spark: "M12 3.5l1.9 5.6 5.6 1.9-5.6 1.9L12 18.5l-1.9-5.6L4.5 11l5.6-1.9zM19 16.5v4M17 18.5h4",
  wait: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
};

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
