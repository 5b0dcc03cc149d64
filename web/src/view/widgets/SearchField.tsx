/** A field that narrows a list down. */

import controls from "./controls.module.css";
import { Search } from "./icons";
import styles from "./SearchField.module.css";

interface SearchFieldProps {
  readonly value: string;
  readonly onChange: (text: string) => void;
  readonly label: string;
  readonly placeholder: string;
  readonly className?: string | undefined;
}

export function SearchField({ value, onChange, label, placeholder, className = "" }: SearchFieldProps) {
  return (
    <div className={`${controls.box} ${className}`}>
      <span className={styles.lens}>
        <Search />
      </span>
      <input
        type="search"
        className={controls.text}
        value={value}
        placeholder={placeholder}
        aria-label={label}
        onChange={(event) => onChange(event.target.value)}
      />
    </div>
  );
}
