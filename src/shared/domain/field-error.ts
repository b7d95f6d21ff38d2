/** What is wrong at one place of an input. */
export interface FieldError {
  /** Names joined by dots; empty for the whole. */
  readonly path: string;
  readonly message: string;
}
