/** What became of something that was signed: done, kept on the phone, or refused; with the way to its receipt. */

Component({
  properties: { s: Object, kind: String, title: String, text: String, receipt: String },
  data: { receipt: '' },
  methods: {
    openReceipt() {
      wx.navigateTo({ url: '/pages/receipt/index?id=' + this.data.receipt })
    },
  },
})
