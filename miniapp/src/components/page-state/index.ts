/** Loading, offline, error and alarm, alike on every page; and empty, with the page's own words. */

Component({
  properties: { s: Object, view: String, fault: String, title: String, text: String },
  data: {},
  methods: {
    retry() {
      this.triggerEvent('retry', {}, {})
    },
    seeLedger() {
      wx.navigateTo({ url: '/pages/ledger/index' })
    },
  },
})
