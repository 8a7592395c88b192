import numpy as np

def init_params(nx, nh, ny):
    params = dict(Wh=np.random.randn(nh, nx) * .3, bh=np.zeros((nh, 1)), Wy=np.random.randn(ny, nh) * .3, by=np.zeros((ny, 1)))
    return params

def forward(params, X):
    htilde = X @ params["Wh"].T + params["bh"].T
    h = np.tanh(htilde)
    ytilde = h @ params["Wy"].T + params["by"].T
    yhat = np.exp(ytilde)
    yhat /= yhat.sum(axis=1, keepdims=True)
    return yhat, dict(X=X, htilde=htilde, h=h, ytilde=ytilde, yhat=yhat)

def loss_accuracy(Yhat, Y):
    return -np.sum(Y * np.log(Yhat)) / Y.shape[0], 100 * np.mean(Yhat.argmax(1) == Y.argmax(1))

def backward(params, outputs, Y):
    b = Y.shape[0]
    dytilde = outputs["yhat"] - Y
    # mean over the batch at the end
    dWy = dytilde.T @ outputs["h"] / b
    dby = np.mean(dytilde, axis=0, keepdims=True).T
    dh = dytilde @ params["Wy"]
    dhtilde = dh * (1 + outputs["h"] ** 2)
    dWh = dhtilde.T @ outputs["X"] / b
    dbh = np.sum(dhtilde, axis=0, keepdims=True).T
    return dict(Wh=dWh, bh=dbh, Wy=dWy, by=dby)

def sgd(params, grads, eta):
    for k in params:
        params[k] = params[k] - eta * grads[k]
    return params
