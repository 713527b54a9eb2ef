// The types of what pages use of libraries.js, for editors; browsers do not load this.

export interface Signal<T> { value: T }
export function signal<T>(value: T): Signal<T>
export function useSignal<T>(value: T): Signal<T>
export function computed<T>(compute: () => T): { readonly value: T }
export function useComputed<T>(compute: () => T): { readonly value: T }
export function effect(run: () => void): () => void
export function batch<T>(run: () => T): T

export function html(strings: TemplateStringsArray, ...values: any[]): any
export function render(what: any, into: Element): void
export function Fragment(props: any): any
export function createContext<T>(value: T): any

type Inputs = readonly unknown[]
export function useState<T>(initial: T | (() => T)): [T, (next: T | ((before: T) => T)) => void]
export function useRef<T>(initial: T): { current: T }
export function useEffect(run: () => void | (() => void), inputs?: Inputs): void
export function useLayoutEffect(run: () => void | (() => void), inputs?: Inputs): void
export function useMemo<T>(make: () => T, inputs?: Inputs): T
export function useCallback<T extends Function>(call: T, inputs?: Inputs): T
export function useContext(context: any): any
export function useId(): string

export class uPlot {
  constructor(options: any, data: any, into: HTMLElement)
  setData(data: any): void
  setSize(size: { width: number, height: number }): void
  destroy(): void
}
