/** Choosing photos and uploading each by itself. Tells the page of every change, so that the draft holds it. */

import { api } from '../../services/api'
import {
  afterRestart,
  choosePhotos,
  forgetPhoto,
  mayRetry,
  PHOTOS_MAX,
  replacePhoto,
  retryFailed,
  uploadPhotos,
  type QueuedPhoto,
} from '../../services/photos'
import { refusalText, fill, type Texts } from '../../texts'
import { settings } from '../../services/settings'

interface Row extends QueuedPhoto {
  /** The cleaned picture as the node keeps it, once it is there: what is signed is what is seen (decisions 16). */
  readonly shown: string
  readonly label: string
  readonly removeLabel: string
  readonly stateText: string
  readonly mayRetry: boolean
}

Component({
  properties: { s: Object, common: Object, photos: Array, lead: String },
  data: {
    cleaned: {} as Record<string, string>,
    rows: [] as Row[],
    count: '',
    canAdd: true,
    photos: [] as readonly QueuedPhoto[],
  },
  lifetimes: {
    attached() {
      this.show(afterRestart(this.data.photos))
      void this.uploadAll()
    },
  },
  methods: {
    async add() {
      let chosen: readonly QueuedPhoto[]
      try {
        chosen = await choosePhotos(PHOTOS_MAX - this.data.photos.length)
      } catch {
        return
      }
      this.change([...this.data.photos, ...chosen].slice(0, PHOTOS_MAX))
      await this.uploadAll()
    },

    remove(event: TapEvent) {
      const photo = this.data.photos[Number(event.currentTarget.dataset['at'])]
      if (!photo) return
      forgetPhoto(photo)
      this.change(this.data.photos.filter((one) => one !== photo))
    },

    retry() {
      this.change(retryFailed(this.data.photos))
      return this.uploadAll()
    },

    async uploadAll() {
      await uploadPhotos(
        () => this.data.photos,
        (photo) => this.change(replacePhoto(this.data.photos, photo)),
      )
      for (const photo of this.data.photos) await this.showCleaned(photo)
    },

    async showCleaned({ path, uploaded }: QueuedPhoto) {
      if (!uploaded || this.data.cleaned[path] !== undefined) return
      const cleaned = await api.showPhoto(uploaded.sha256, 'thumbnail').catch(() => path)
      this.setData({ cleaned: { ...this.data.cleaned, [path]: cleaned } })
      this.show(this.data.photos)
    },

    change(photos: readonly QueuedPhoto[]) {
      this.show(photos)
      this.triggerEvent('change', { value: photos }, {})
    },

    show(photos: readonly QueuedPhoto[]) {
      const texts = this.data['s'] as Texts['ticketNew']
      const rows = photos.map(
        (photo, at): Row => ({
          ...photo,
          shown: this.data.cleaned[photo.path] ?? photo.path,
          label: fill((this.data['common'] as Texts['common']).photo, { n: at + 1 }),
          removeLabel: fill(texts.photoRemove, { n: at + 1 }),
          stateText: stateText(photo, texts),
          mayRetry: mayRetry(photo),
        }),
      )
      const count = fill(texts.photoCount, { n: photos.length })
      this.setData({ photos, rows, count, canAdd: photos.length < PHOTOS_MAX })
    },
  },
})

function stateText(photo: QueuedPhoto, texts: Texts['ticketNew']): string {
  if (photo.state === 'done') return texts.photoDone
  if (photo.state !== 'failed') return texts.photoUploading
  return (photo.fault && refusalText(settings().language, photo.fault)) || texts.photoFailed
}
