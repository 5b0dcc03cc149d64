/** The editor's window. */

export function App() {
  return <main aria-label="Workflow editor" />;
}
