/** wx.*StorageSync on localStorage. Values are JSON; a key that does not exist reads as ''. */

export const storage = {
  getStorageSync(key: string): unknown {
    const text = localStorage.getItem(key)
    return text === null ? '' : JSON.parse(text)
  },
  setStorageSync(key: string, value: unknown): void {
    localStorage.setItem(key, JSON.stringify(value))
  },
  removeStorageSync(key: string): void {
    localStorage.removeItem(key)
  },
}
