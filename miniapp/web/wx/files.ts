/**
 * Pictures and small files. A chosen picture is a blob: address; a saved one lives in IndexedDB under a `linli-file:`
 * path, so that drafts survive the browser being closed.
 */

import { asCall } from './callbacks'
import { make } from '../dom'

const SCHEME = 'linli-file:'
const STORE = 'files'
/** Blobs behind addresses we made: the content policy does not let a page fetch blob: addresses. */
const chosen = new Map<string, Blob>()
const written = new Map<string, string>()
const shown = new Map<string, string>()

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('linli', 1)
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE)
    opening.onsuccess = () => resolve(opening.result)
    opening.onerror = () => reject(opening.error)
  })
}

async function withStore<Result>(
  mode: IDBTransactionMode,
  action: (store: IDBObjectStore) => IDBRequest<Result>,
): Promise<Result> {
  const open = await database()
  return new Promise((resolve, reject) => {
    const request = action(open.transaction(STORE, mode).objectStore(STORE))
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

export function addressOf(blob: Blob): string {
  const address = URL.createObjectURL(blob)
  chosen.set(address, blob)
  return address
}

export async function readFile(path: string): Promise<Blob> {
  const blob = chosen.get(path) ?? (await withStore<unknown>('readonly', (store) => store.get(path)))
  if (!(blob instanceof Blob)) throw new Error('file not found')
  return blob
}

/** An address an <img> can show. */
export async function resolvePicture(path: string): Promise<string> {
  if (!path.startsWith(SCHEME)) return path
  const known = shown.get(path)
  if (known !== undefined) return known
  const address = URL.createObjectURL(await readFile(path))
  shown.set(path, address)
  return address
}

const files: WxFiles = {
  saveFile: asCall(async ({ tempFilePath }) => {
    const blob = await readFile(tempFilePath)
    const savedFilePath = SCHEME + crypto.randomUUID()
    await withStore('readwrite', (store) => store.put(blob, savedFilePath))
    return { savedFilePath }
  }),
  removeSavedFile: asCall(async ({ filePath }) => {
    shown.delete(filePath)
    await withStore('readwrite', (store) => store.delete(filePath))
    return {}
  }),
  writeFile: asCall(({ filePath, data }) => {
    written.set(filePath, data)
    return {}
  }),
}

export const getFileSystemManager = (): WxFiles => files

/** WeChat offers a written file to a chat; a browser saves it. */
export const shareFileMessage = asCall(({ filePath, fileName }: { filePath: string; fileName: string }) => {
  const text = written.get(filePath)
  if (text === undefined) throw new Error('file not found')
  const address = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
  make('a', { href: address, download: fileName }).click()
  setTimeout(() => URL.revokeObjectURL(address), 10_000)
  return {}
})
