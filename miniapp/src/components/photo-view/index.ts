/** A photo of a ticket, fetched by right and shown small; a tap shows it large. */

import { api } from '../../services/api'

Component({
  properties: { sha256: String, label: String },
  data: { path: '', sha256: '' },
  lifetimes: {
    attached() {
      void this.show()
    },
  },
  methods: {
    async show() {
      try {
        this.setData({ path: await api.showPhoto(this.data.sha256, 'thumbnail') })
      } catch {
        // The grey frame with its label stays: a missing picture must not hide the text beside it.
      }
    },
    async enlarge() {
      const path = await api.showPhoto(this.data.sha256, 'full').catch(() => this.data.path)
      if (path !== '') wx.previewImage({ urls: [path] })
    },
  },
})
